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
    check_direction,
    check_labels,
    check_own_options,
    check_plot,
    check_record,
    check_seeds,
    check_space,
    check_texts,
    overrides_of,
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
        given = {**given, **smaller, "overrides": {**overrides_of(path, given), **overrides_of(path, smaller)}}
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
    kind: Any = kind_of(path, given)
    check_texts(path, given)
    space, labels, seeds = given[kind], given.get("labels") or [], given.get("seeds", [0])
    check_space(path, kind, space)
    known: dict[str, Any] = {
        key: given[key] for key in ("question", "caption", "direction", "sampler", "trials", "pruner") if key in given
    }
    check_choices(path, kind, known)
    check_labels(path, kind, space, labels)
    check_seeds(path, seeds)
    record = [given["record"]] if isinstance(given["record"], str) else given["record"]
    check_record(path, record)
    overrides = overrides_of(path, given)
    check_own_options(path, [overrides, *(space if kind == "list" else [space])])
    known.setdefault("direction", direction_of(record[0]))
    check_direction(path, known["direction"], record[0])
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
    study = with_each_trial_once(path, as_given)
    check_plot(path, study.plot, study.options, study.record)
    claims = given.get("claims")
    return with_claims(path, study, claims) if claims else study


def with_each_trial_once(path: Path, as_given: Study) -> Study:
    """The study without settings, values and seeds that are equal to earlier ones."""
    space, labels = without_repetitions(path, as_given.kind, as_given.space, list(as_given.labels))
    seeds = without_repetitions(path, "grid", {"seeds": list(as_given.seeds)}, [])[0]["seeds"]
    study = replace(as_given, space=space, labels=tuple(labels), seeds=tuple(seeds))
    return study if study == as_given else replace(study, repeated=as_given)


def with_claims(path: Path, study: Study, claims: Any) -> Study:
    """The study with what stands under `claims`.

    Raises:
        UserError: for a claim that the study could not decide.
    """
    if not study.quick and len(study.seeds) < FEWEST:
        raise UserError(
            f"{path}: seeds is {list(study.seeds)}, and fewer than {FEWEST} decide no claim: give more, or no claims"
        )
    study = replace(study, claims=tuple(claims) if isinstance(claims, list) else claims)
    if study.num_trials <= MOST_CLAIMED * LARGEST:  # others are refused for their size, unless that is allowed
        study.definition(path)
    return study


def kind_of(path: Path, given: dict[str, Any]) -> str:
    """`grid`, `list` or `search`: the one of these keys that the file has."""
    kinds = [kind for kind in KINDS if kind in given]
    if len(kinds) != 1:
        raise UserError(f"{path} has {' and '.join(kinds) or 'none of ' + ', '.join(KINDS)}: give exactly one of them")
    return kinds[0]
