"""Checks of what a user chose; each message says what was found and what to use instead."""

from collections.abc import Sequence
from typing import get_args

from lab.errors import UserError


def check_choice(option: str, value: str, choices: object) -> None:
    """Raise ValueError unless `value` is one of the strings of the Literal type `choices`."""
    allowed = get_args(choices)
    if value not in allowed:
        raise UserError(f"{option} {value!r} is unknown: choose one of {', '.join(map(repr, allowed))}")


def check_at_least_one(option: str, sizes: Sequence[int]) -> None:
    """Raise ValueError if one of the sizes is below 1."""
    if any(size < 1 for size in sizes):
        found = sizes[0] if len(sizes) == 1 else tuple(sizes)
        raise UserError(f"{option} is {found}: use whole numbers from 1 up")


def check_at_least(option: str, value: float, lowest: float) -> None:
    """Raise a ValueError that names the option if its value is too small."""
    if value < lowest:
        raise UserError(f"{option} is {value}: expected at least {lowest}")


def check_odd(option: str, kernel_size: int) -> None:
    """Raise ValueError if the kernel has no middle: padded alike on both sides, it would change the map's size."""
    if kernel_size % 2 == 0:
        raise UserError(f"{option} is {kernel_size}: use an odd number, such as {kernel_size + 1}")
