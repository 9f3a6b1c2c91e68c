"""Checks of a study's file. Each mistake has one message: the file, what was found and what is expected."""

import difflib
import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lab.errors import UserError, UserFileError
from lab.shipped import find_config

SEARCH_KEYS = ("sampler", "trials")
RANGE_KEYS = ("low", "high", "log", "int", "choices")
PLOT_KEYS = ("x", "y", "log_x")
OWN_OPTIONS = {
    "seed_everything": "give `seeds`",
    "run_dir": "give --study_dir",
    "ckpt_path": "every trial starts anew",
    "config": "give `base`",
    "quiet": "trials are quiet",
}


def check_texts(path: Path, given: dict[str, Any]) -> None:
    """Raise a UserError for a missing title, base or record, or a base that is no config."""
    for key in ("title", "base", "record"):
        if not given.get(key):
            raise UserError(f"{path}: the key {key} is missing or empty")
    for key in ("title", "base"):
        if not isinstance(given[key], str):
            raise UserError(f"{path}: {key} is {given[key]!r}: give a text")
    if not find_config(given["base"]).is_file():
        raise UserFileError(f"{path}: there is no config {given['base']}: correct `base`, or start in another folder")


def check_seeds(path: Path, seeds: Any) -> None:
    """Raise a UserError unless these are seeds."""
    if not isinstance(seeds, list) or not seeds or not all(type(seed) is int and seed >= 0 for seed in seeds):
        raise UserError(f"{path}: seeds is {seeds}: give a list of whole numbers from 0 up")


def check_record(path: Path, record: Any) -> None:
    """Raise a UserError unless these are names of metrics."""
    if not isinstance(record, list) or not all(isinstance(name, str) for name in record):
        raise UserError(f"{path}: record is {record!r}: give a list of metrics, such as [val/accuracy, val/loss]")


def overrides_of(path: Path, given: dict[str, Any]) -> dict[str, Any]:
    """The overrides in the content of a file: options with their values; none if the key is missing or empty."""
    overrides = given.get("overrides") or {}
    if not isinstance(overrides, dict):
        raise UserError(f"{path}: overrides is {overrides!r}: give options, such as data.batch_size: 64")
    return overrides


def check_direction(path: Path, direction: Any, objective: str) -> None:
    """Raise a UserError if neither the file nor the catalogue of metrics says in which direction trials are better."""
    if direction is None:
        raise UserError(
            f"{path}: it is not known whether less or more {objective} is better: give `direction`, "
            "minimize or maximize"
        )


def check_choices(path: Path, kind: str, known: dict[str, Any]) -> None:
    """Raise a UserError for a value that its key does not allow, or a key of a search in another kind of study."""
    for key, choices in (
        ("direction", ("minimize", "maximize")), ("sampler", ("random", "tpe")), ("pruner", ("none", "median", "asha")),
    ):  # fmt: skip
        if key in known and known[key] not in choices:
            raise UserError(f"{path}: {key} is {known[key]!r}: choose one of {', '.join(choices)}")
    for key in SEARCH_KEYS:
        if key in known and kind != "search":
            raise UserError(f"{path}: {key} belongs to a search, and this study is a {kind}: leave it out")
    if not isinstance(known.get("trials", 1), int) or known.get("trials", 1) < 1:
        raise UserError(f"{path}: trials is {known['trials']!r}: give a whole number from 1 up")


def check_labels(path: Path, kind: str, space: Any, labels: Any) -> None:
    """Raise a UserError unless there is one label for each setting of a list, all of them different."""
    if labels and not (kind == "list" and isinstance(labels, list) and len(labels) == len(set(map(str, labels)))):
        raise UserError(f"{path}: labels is {labels!r}: expected different names for the settings of a list")
    if labels and len(labels) != len(space):
        raise UserError(f"{path}: there are {len(labels)} labels for {len(space)} settings: give one for each")


def check_own_options(path: Path, settings: Iterable[dict[str, Any]]) -> None:
    """Raise a UserError for an option that the study itself sets for its trials, or that is no name."""
    for option in itertools.chain.from_iterable(settings):
        if not isinstance(option, str):
            raise UserError(f"{path}: {option!r} is no option: give names, such as model.latent_dim")
        if option in OWN_OPTIONS:
            raise UserError(f"{path}: the study itself sets {option} for its trials: {OWN_OPTIONS[option]}")


def check_plot(path: Path, plot: Sequence[Any], options: Sequence[str], record: Sequence[str]) -> None:
    """Raise a UserError for a plot of an option that is not varied, or of a metric that is not recorded."""
    for drawn in plot:
        if not isinstance(drawn, dict):
            raise UserError(
                f"{path}: plot has {drawn!r}: expected lines such as `- {{x: model.latent_dim, y: val/fid}}`"
            )
        unknown(path, drawn, PLOT_KEYS, "key of plot")
        if drawn.get("x") not in options:
            raise UserError(f"{path}: plot has x: {drawn.get('x')}: the varied options are {', '.join(options)}")
        if drawn.get("y") not in record:
            raise UserError(f"{path}: plot has y: {drawn.get('y')}: the recorded metrics are {', '.join(record)}")


def check_space(path: Path, kind: str, space: Any) -> None:
    """Raise a UserError for an empty grid, list or search, or one of another form."""
    if kind == "list":
        if not isinstance(space, list) or not space or not all(isinstance(setting, dict) for setting in space):
            raise UserError(f"{path}: list is {space!r}: expected lines such as `- {{model.latent_dim: 10}}`")
        return
    if not isinstance(space, dict) or not space:
        raise UserError(f"{path}: {kind} is empty: give options, such as model.latent_dim: [10, 20]")
    for option, values in space.items():
        if kind == "grid" and not (isinstance(values, list) and values):
            raise UserError(f"{path}: the grid of {option} is {values!r}: expected a list with at least one value")
        if kind == "search" and not (
            isinstance(values, dict) and ("choices" in values or {"low", "high"} <= set(values))
        ):
            raise UserError(
                f"{path}: {option} is {values!r}: expected {{low: 1e-4, high: 1e-2, log: true}} or {{choices: [...]}}"
            )
        if kind == "search":
            unknown(path, values, RANGE_KEYS, f"key of {option}")
            if "choices" not in values:
                check_range(path, option, values)
            elif set(values) > {"choices"} or not (isinstance(values["choices"], list) and values["choices"]):
                raise UserError(f"{path}: {option} is {values!r}: expected {{choices: [16, 64]}}, or low and high")


def check_range(path: Path, option: str, values: dict[str, Any]) -> None:
    """Raise a UserError unless low is below high and, on a logarithmic scale, above 0."""
    try:
        low, high = float(values["low"]), float(values["high"])  # YAML reads 1e-4 as text
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}: the range of {option} is {values!r}: low and high must be numbers") from error
    if not low < high or (values.get("log") and low <= 0):
        positive = " with log: true, above 0," if values.get("log") else ""
        raise UserError(f"{path}: the range of {option} is from {low:g} to {high:g}: give low{positive} below high")


def unknown(path: Path, given: dict[str, Any], known: tuple[str, ...], what: str) -> None:
    """Raise a UserError for a key that is not among the known ones."""
    for key in given:
        if key not in known:
            nearest = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean {nearest[0]}?" if nearest else f"use {', '.join(known)}"
            raise UserError(f"{path}: there is no {what} {key}; {hint}")
