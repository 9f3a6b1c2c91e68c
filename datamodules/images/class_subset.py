"""A choice among the classes of a data set, by number or by name."""

import difflib
from collections.abc import Sequence

from lab.errors import UserError


def chosen_classes(classes: Sequence[int | str] | None, names: Sequence[str]) -> list[int]:
    """Numbers of the chosen `classes` in the order they are given; all of `names` for None.

    A number counts from 0; a text is taken as a name first and then as a number.

    Raises:
        UserError: for a class that does not exist, one that is named twice, or none at all.
    """
    if classes is None:
        return list(range(len(names)))
    if not classes:
        raise UserError("classes is an empty list: name at least one, or leave it out for all")
    numbers = [_number(wanted, names) for wanted in classes]
    if len(set(numbers)) < len(numbers):
        raise UserError(f"classes names one class twice: {', '.join(names[number] for number in numbers)}")
    return numbers


def _number(wanted: int | str, names: Sequence[str]) -> int:
    if wanted in names:
        return list(names).index(str(wanted))
    if str(wanted).isdecimal() and int(wanted) < len(names):
        return int(wanted)
    nearest = difflib.get_close_matches(str(wanted).lower(), names, n=1)
    hint = f"did you mean '{nearest[0]}'? " if nearest else ""
    shown = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    raise UserError(f"there is no class '{wanted}': {hint}use names ({shown}) or numbers 0 to {len(names) - 1}")
