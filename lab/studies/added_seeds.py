"""More seeds for a study whose claims are not decided: which pay most, as a study of their own.

The trials of a study are fixed when it begins. Seeds that are added lie in a folder `added/1`, `added/2`, ... of the
study's, each a study as any other: it can be killed and resumed, and has its own table.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lab.claims.definition import Definition
from lab.claims.judge import Judged
from lab.claims.verdicts import FEWEST
from lab.errors import UserError
from lab.studies.study_file import Study, checked
from lab.yaml_files import read_yaml

MOST_LOOKS = 4  # at added seeds; `benchmarks.verdicts` has the error rates of so many


@dataclass(frozen=True)
class Round:
    """Seeds to add: for which claim, to which settings, how many, and their hours."""

    claim: str
    settings: tuple[int, ...]
    count: int
    hours: float


def next_round(judged: Sequence[Judged], hours: float) -> Round | None:
    """The seeds that decide a claim for the lowest cost, within so many hours; None if there are none.

    At least half as many seeds as there are are added, so that few looks suffice. The number that would decide the
    claim is a guess: where it costs more than there is left, as many as can be paid for are added.
    """
    rounds = []
    for one in judged:
        fewest = max(FEWEST - one.seeds, math.ceil(one.seeds / 2))
        if one.verdict != "undecided" or one.missing is None or one.hours is None:
            continue
        of_one = one.hours / one.missing
        count = max(fewest, one.missing)
        if count * of_one > hours:
            count = math.floor(hours / of_one)
        if count >= fewest:
            rounds.append((one.hours, Round(one.claim.id, one.claim.settings, count, count * of_one)))
    return min(rounds, key=lambda pair: pair[0])[1] if rounds else None


def study_of_round(study: Study, definition: Definition, chosen: Round, first_seed: int, number: int) -> Study:
    """The study with the added seeds, from `first_seed` on."""
    return replace(
        study,
        name=f"{study.name}-added-{number}",
        kind="list",
        space=[definition.settings[place] for place in chosen.settings],
        labels=tuple(definition.names[place] for place in chosen.settings),
        seeds=tuple(range(first_seed, first_seed + chosen.count)),
        plot=(),
        claims=(),
    )


def begun_round(study: Study, folder: Path) -> Study:
    """The study in a folder of added seeds, as it was begun.

    Raises:
        UserError: if its study.yaml was changed into something else.
    """
    path = folder / "study.yaml"
    kept = read_yaml(path)
    if not isinstance(kept, dict):
        raise UserError(f"{path} holds no study: restore it, or remove {folder}")
    return replace(checked(path, kept, bool(kept.get("quick"))), name=f"{study.name}-added-{folder.name}")


def hours_of(budget: str) -> float:
    """`90s`, `30m`, `2h` or `1.5d` as hours.

    Raises:
        UserError: for anything else.
    """
    units = {"s": 1 / 3600, "m": 1 / 60, "h": 1.0, "d": 24.0}
    try:
        hours = float(budget[:-1]) * units[budget[-1]]
    except (ValueError, KeyError, IndexError):
        hours = math.nan
    if not 0 < hours < math.inf:
        raise UserError(f"--budget is {budget!r}: give a time such as 30m, 2h or 1.5d")
    return hours
