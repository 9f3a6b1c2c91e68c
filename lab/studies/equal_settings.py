"""Settings that are written differently and mean the same, such as 1e-3 and 0.001: they are one trial."""

import json
import sys
from pathlib import Path
from typing import Any

import jsonargparse
import yaml

COUNT_OR_SHARE = ("trainer.limit_", "trainer.overfit_batches", "trainer.val_check_interval")  # 1 batch, 1.0 of all


def without_repetitions(path: Path, kind: str, space: Any, labels: list[Any]) -> tuple[Any, list[Any]]:
    """The space of a study, and its labels, without values and settings that stand there before; says what it drops.

    Args:
        path: of the study's file.
        kind: `grid`, `list` or `search`.
        space: as in the file.
        labels: of a list's settings; may be empty.
    """
    if kind == "list":
        kept = first_places([meaning_of_setting(setting) for setting in space])
        tell(path, "setting", space, kept)
        return [space[place] for place in kept], [labels[place] for place in kept] if labels else labels
    different = {}
    for option, values in space.items():
        found = values.get("choices") if kind == "search" else values
        if isinstance(found, list):
            kept = first_places([meaning(option, value) for value in found])
            tell(path, f"value of {option}", found, kept)
            found = [found[place] for place in kept]
            values = {"choices": found} if kind == "search" else found
        different[option] = values
    return different, labels


def tell(path: Path, what: str, given: list[Any], kept: list[int]) -> None:
    """Say in one line what is not tried twice."""
    places = set(kept)
    if dropped := [str(item) for place, item in enumerate(given) if place not in places]:
        print(f"{path}: {what} {', '.join(dropped)}: equal to an earlier one, tried once", file=sys.stderr)


def first_places(texts: list[str]) -> list[int]:
    """Where each text stands for the first time."""
    return sorted({text: place for place, text in reversed(list(enumerate(texts)))}.values())


def meaning_of_setting(setting: dict[str, Any]) -> str:
    """A text that is the same for settings that mean the same."""
    return json.dumps({option: meaning(option, value) for option, value in setting.items()}, sort_keys=True)


def meaning(option: str, value: Any) -> str:
    """A text that is the same for values that the command line reads as the same: 1 and 1.0, "true" and true."""
    return json.dumps(read(option, value), sort_keys=True, default=str)


def read(option: str, value: Any) -> Any:
    """The value as the command line reads it, a number as a float unless that is another value."""
    if isinstance(value, str):
        try:
            value = jsonargparse.get_loader("yaml")(value)
        except yaml.YAMLError:
            return value
    if isinstance(value, dict):
        return {str(key): read(option, item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [read(option, item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and not option.startswith(COUNT_OR_SHARE):
        return float(value) if float(value) == value else value
    return value
