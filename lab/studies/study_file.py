"""A study: a question, a base config and the settings to try, read from a YAML file."""

import difflib
import json
import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from lab.claims.definition import Definition, define, settings_of
from lab.claims.verdicts import FEWEST
from lab.errors import UserError, UserFileError
from lab.shipped import find_config
from lab.studies.checks import (
    SEARCH_KEYS,
    check_choices,
    check_labels,
    check_own_options,
    check_plot,
    check_space,
    unknown,
)
from lab.studies.equal_settings import without_repetitions
from lab.yaml_files import read_yaml
from lightning_models.metrics.catalogue import Direction, direction_of

KEYS = (
    *("title", "question", "caption", "base", "overrides", "grid", "list", "search", "sampler", "trials", "pruner"),
    *("labels", "seeds", "record", "direction", "plot", "quick", "claims"),
)
KINDS = ("grid", "list", "search")
QUICK_KEYS = ("overrides", "grid", "list", "labels", "search", "trials", "seeds")
LARGEST = 1000  # trials; more are probably a mistake
MOST_CLAIMED = 100  # times as many trials, up to which claims are checked against every setting

Setting = dict[str, Any]  # option -> value, by its name on the command line without the two dashes


@dataclass(frozen=True)
class Study:
    """A study as it is run: at its full or at its quick size.

    Args:
        name: of its file, with the folder below `configs/studies` if it lies in one: `report5/width`.
        title, question, caption: what its page says.
        base: config that all trials start from.
        overrides: options that all trials share.
        kind: `grid` (every combination), `list` (settings given one by one) or `search` (drawn by a sampler).
        space: option -> values for a grid and a list's settings; option -> range for a search.
        labels: what the page calls the settings of a list, in their order; empty: by their options.
        seeds: of every setting; a search takes the first.
        record: metrics kept in results.csv; the first one is the objective.
        plot: what the page draws: {x: option, y: metric, log_x: bool}.
        claims: what a report says of it, as in the file; they change no trial. `definition` has them checked.
        repeated: the study with the equal values, settings and seeds of its file, which are tried once; None if it has
            none.
    """

    name: str
    title: str
    base: str
    kind: Literal["grid", "list", "search"]
    space: Any
    labels: tuple[str, ...] = ()
    question: str = ""
    caption: str = ""
    overrides: Setting = field(default_factory=dict)
    seeds: tuple[int, ...] = (0,)
    record: tuple[str, ...] = ()
    direction: Direction = "minimize"
    sampler: Literal["random", "tpe"] = "tpe"
    trials: int = 20
    pruner: Literal["none", "median", "asha"] = "none"
    plot: tuple[dict[str, Any], ...] = ()
    quick: bool = False
    claims: tuple[dict[str, Any], ...] = ()
    repeated: "Study | None" = None

    @property
    def settings(self) -> list[Setting]:
        """The settings to try, in order, without the seeds; none for a search, which draws them as it goes."""
        return settings_of({self.kind: self.space})

    @cached_property
    def planned(self) -> list[tuple[Setting, int]]:
        """Every setting with every seed; the seeds of a setting follow each other."""
        return [(setting, seed) for setting in self.settings for seed in self.seeds]

    @property
    def num_trials(self) -> int:
        """The number of trials."""
        if self.kind == "search":
            return self.trials
        settings = math.prod(map(len, self.space.values())) if self.kind == "grid" else len(self.space)
        return settings * len(self.seeds)

    @property
    def options(self) -> list[str]:
        """The options that are varied."""
        if self.kind == "list":
            return list(dict.fromkeys(option for setting in self.space for option in setting))
        return list(self.space)

    def definition(self, path: Path) -> Definition:
        """The settings with the claims about them; at the quick size, those about settings that it has.

        Raises:
            UserError: for a claim that the study could not decide; `path` is for the message.
        """
        return define(path, self.as_dict(), self.claims, absent_settings=self.quick)

    def as_dict(self) -> dict[str, Any]:
        """What study.yaml in the study's folder holds of the trials, which the page and the next start read."""
        kept = {
            **{"title": self.title, "question": self.question, "caption": self.caption, "base": self.base},
            **{"overrides": self.overrides, self.kind: self.space, "seeds": list(self.seeds)},
            **{"record": list(self.record), "direction": self.direction, "plot": list(self.plot), "quick": self.quick},
        }
        if self.labels:
            kept["labels"] = list(self.labels)
        if self.kind == "search":
            kept |= {"sampler": self.sampler, "trials": self.trials}
        return {**kept, "pruner": self.pruner}

    def arguments(self, setting: Setting, seed: int) -> list[str]:
        """The options of a trial's `fit`."""
        options = {**self.overrides, **setting}
        return [
            "--trainer.devices=1",  # a worker takes one GPU; `start.check_options` refuses a config that wants more
            "-c",
            self.base,
            *(as_argument(name, value) for name, value in options.items()),
            f"--seed_everything={seed}",
        ]


def as_argument(option: str, value: Any) -> str:
    """`--option=value`, with lists and dicts as JSON, which the parser reads."""
    return f"--{option}={value if isinstance(value, str) else json.dumps(value)}"


def describe(setting: Setting) -> str:
    """A setting in a few words: `latent_dim=50 lr=0.001`. Words that occur twice, as of both networks, stand once."""
    return " ".join(dict.fromkeys(f"{option.rpartition('.')[2]}={value}" for option, value in setting.items()))


def name_of(path: Path) -> str:
    """`report5/width` for configs/studies/report5/width.yaml; for a file elsewhere its own name without the suffix."""
    folders = path.absolute().parent.parts
    for last in range(len(folders) - 1, 0, -1):
        if folders[last - 1 : last + 1] == ("configs", "studies"):
            return "/".join([*folders[last + 1 :], path.stem])
    return path.stem


def read_study(path: Path, quick: bool = False) -> Study:
    """The study in a YAML file, at its full or at its quick size.

    Raises:
        UserError: for a file that is not a valid study; the message says what was found and what is expected.
    """
    path = find_config(path)
    if not path.is_file():
        others = sorted(str(other) for other in Path("configs/studies").rglob("*.yaml"))
        nearest = difflib.get_close_matches(str(path), others, n=3)
        hint = f"did you mean {', '.join(nearest)}?" if nearest else "give a file such as those below configs/studies/"
        raise UserFileError(f"there is no study {path}: {hint}")
    given = read_yaml(path)
    if not isinstance(given, dict):
        raise UserError(f"{path} is not a study: expected keys such as base, grid, seeds and record")
    unknown(path, given, KEYS, "key")
    if quick:
        if "quick" not in given:
            raise UserError(f"{path} has no quick size: add a key `quick`, or leave out --quick")
        smaller = given["quick"] or {}
        if not isinstance(smaller, dict):
            raise UserError(f"{path}: quick is {smaller!r}: expected any of the keys {', '.join(QUICK_KEYS)}")
        unknown(path, smaller, QUICK_KEYS, "key of quick")
        given = {
            **given,
            **smaller,
            "overrides": {**(given.get("overrides") or {}), **(smaller.get("overrides") or {})},
        }
        if "list" in smaller and "labels" not in smaller:
            given.pop("labels", None)
        for kind in KINDS:  # another kind of space replaces the full one
            if any(other in smaller for other in KINDS) and kind not in smaller:
                given.pop(kind, None)
        if "search" not in given:  # these belong to the full size's search
            given = {key: value for key, value in given.items() if key not in SEARCH_KEYS or key in smaller}
    return checked(path, given, quick)


def checked(path: Path, given: dict[str, Any], quick: bool) -> Study:
    """The study that the content of a file describes."""
    kinds = [kind for kind in KINDS if kind in given]
    if len(kinds) != 1:
        raise UserError(f"{path} has {' and '.join(kinds) or 'none of ' + ', '.join(KINDS)}: give exactly one of them")
    kind: Any = kinds[0]
    for key in ("title", "base", "record"):
        if not given.get(key):
            raise UserError(f"{path}: the key {key} is missing or empty")
    for key in ("title", "base"):
        if not isinstance(given[key], str):
            raise UserError(f"{path}: {key} is {given[key]!r}: give a text")
    if not find_config(given["base"]).is_file():
        raise UserFileError(f"{path}: there is no config {given['base']}: correct `base`, or start in another folder")
    space = given[kind]
    check_space(path, kind, space)
    known: dict[str, Any] = {
        key: given[key] for key in ("question", "caption", "direction", "sampler", "trials", "pruner") if key in given
    }
    check_choices(path, kind, known)
    labels = given.get("labels") or []
    check_labels(path, kind, space, labels)
    seeds = given.get("seeds", [0])
    if not isinstance(seeds, list) or not seeds or not all(type(seed) is int and seed >= 0 for seed in seeds):
        raise UserError(f"{path}: seeds is {seeds}: give a list of whole numbers from 0 up")
    record = [given["record"]] if isinstance(given["record"], str) else given["record"]
    if not isinstance(record, list) or not all(isinstance(name, str) for name in record):
        raise UserError(f"{path}: record is {record!r}: give a list of metrics, such as [val/accuracy, val/loss]")
    overrides = given.get("overrides") or {}
    if not isinstance(overrides, dict):
        raise UserError(f"{path}: overrides is {overrides!r}: give options, such as data.batch_size: 64")
    check_own_options(path, [overrides, *(space if kind == "list" else [space])])
    if "direction" not in known:
        if (better := direction_of(record[0])) is None:
            raise UserError(
                f"{path}: it is not known whether less or more {record[0]} is better: give `direction`, "
                "minimize or maximize"
            )
        known["direction"] = better
    as_given = Study(
        name=name_of(path),
        title=given["title"],
        base=given["base"],
        kind=kind,
        space=space,
        labels=tuple(map(str, labels)),
        overrides=overrides,
        seeds=tuple(seeds),
        record=tuple(record),
        plot=tuple(given.get("plot") or ()),
        quick=quick,
        **known,
    )
    space, labels = without_repetitions(path, kind, space, list(as_given.labels))
    seeds = without_repetitions(path, "grid", {"seeds": seeds}, [])[0]["seeds"]
    study = replace(as_given, space=space, labels=tuple(labels), seeds=tuple(seeds))
    if study != as_given:
        study = replace(study, repeated=as_given)
    check_plot(path, study.plot, study.options, study.record)
    if claims := given.get("claims"):
        if not quick and len(seeds) < FEWEST:
            raise UserError(
                f"{path}: seeds is {seeds}, and fewer than {FEWEST} decide no claim: give more, or no claims"
            )
        study = replace(study, claims=tuple(claims) if isinstance(claims, list) else claims)
        if study.num_trials <= MOST_CLAIMED * LARGEST:  # others are refused for their size, unless that is allowed
            study.definition(path)
    return study
