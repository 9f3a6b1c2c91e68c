"""Checks of the user's options; each message names the option, the value found and the values accepted."""

from collections.abc import Sequence
from typing import get_args

from lab.errors import UserError


def check_choice(option: str, value: str, choices: object) -> None:
    """Raise UserError unless `value` is one of the strings of the Literal type `choices`."""
    allowed = get_args(choices)
    if value not in allowed:
        raise UserError(f"{option} {value!r} is unknown: choose one of {', '.join(map(repr, allowed))}")


def check_at_least_one(option: str, sizes: Sequence[int]) -> None:
    """Raise UserError if one of the sizes is below 1."""
    if any(size < 1 for size in sizes):
        found = sizes[0] if len(sizes) == 1 else tuple(sizes)
        raise UserError(f"{option} is {found}: use whole numbers from 1 up")


def check_at_least(option: str, value: float, lowest: float) -> None:
    """Raise UserError if `value` is below `lowest`."""
    if value < lowest:
        raise UserError(f"{option} is {value}: expected at least {lowest}")


def check_odd(option: str, kernel_size: int) -> None:
    """Raise UserError for an even kernel: padded equally on both sides, it would change the size of the map."""
    if kernel_size % 2 == 0:
        raise UserError(f"{option} is {kernel_size}: use an odd number, such as {kernel_size + 1}")


def check_share(option: str, value: float) -> None:
    """Raise UserError unless `value` is from 0 to below 1, as a probability or a share."""
    if not 0 <= value < 1:
        raise UserError(f"{option} is {value}: expected a number from 0 to below 1")


def check_above_zero(option: str, value: float | None) -> None:
    """Raise UserError unless `value` is above 0; None passes."""
    if value is not None and not value > 0:
        raise UserError(f"{option} is {value}: expected a positive number")
