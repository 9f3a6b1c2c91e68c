"""Checks of options that several data modules have."""

from lab.errors import UserError


def check_at_least_one(**options: int) -> None:
    """Raise a UserError that names the first option below 1."""
    for option, value in options.items():
        if value < 1:
            raise UserError(f"{option} is {value}: use a whole number from 1 up")


def check_fraction(option: str, value: float) -> None:
    """Raise a UserError unless `value` is from 0 to below 1."""
    if not 0 <= value < 1:
        raise UserError(f"{option} is {value}: use a number from 0 (none) to below 1")


def check_fractions(val_fraction: float, test_fraction: float) -> None:
    """Raise a UserError unless both fractions are in range and leave something to train on."""
    check_fraction("val_fraction", val_fraction)
    check_fraction("test_fraction", test_fraction)
    if val_fraction + test_fraction >= 1:
        raise UserError(
            f"val_fraction {val_fraction} and test_fraction {test_fraction} leave nothing to train on: lower them"
        )
