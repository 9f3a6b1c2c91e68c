"""What a trial came to, in the quantities that claims compare, and the CSV file that keeps it."""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import fmean

from lab.claims.claim import Measure
from lab.errors import UserError
from lab.files import atomic_write

WINDOW = 0.025  # of a run, on both sides of the place at which `at` and `change` look
ADDED = "added"  # in a study's folder: the studies with seeds that were added to it
FACTS = ("trial", "setting", "seed", "look", "state", "epochs", "batches", "seconds", "commit", "machine")


@dataclass(frozen=True)
class Outcome:
    """A trial.

    Args:
        trial: its number in the study.
        setting: the number of its setting.
        seed: of the run.
        state: complete, failed, pruned, running or waiting; only a complete one has values.
        values: of the quantities (`Claim.quantity`) that were measured.
        look: 0 for a planned trial, from 1 up for one that was added afterwards.
        epochs, batches, seconds: of the run.
        commit, machine: what it was trained with and on; empty if it is not known.
    """

    trial: int
    setting: int
    seed: int
    state: str
    values: dict[str, float] = field(default_factory=dict)
    look: int = 0
    epochs: int | None = None
    batches: int | None = None
    seconds: float | None = None
    commit: str = ""
    machine: str = ""


def measured(measure: Measure, steps: Sequence[int], values: Sequence[float], horizon: int) -> float | None:
    """What is taken of the curve of a run.

    Args:
        measure: other than `last`.
        steps: of the curve, ascending batches.
        values: of the curve, one a step; those that are not finite do not count.
        horizon: the last batch of the longest run; a run that ended before it keeps its last value.

    Returns:
        None where the curve has too few points; inf for a level that was never reached.
    """
    finite = [(step, value) for step, value in zip(steps, values, strict=True) if math.isfinite(value)]
    if not finite:
        return None
    if measure.kind == "mean":
        points = [*finite, *([(horizon, finite[-1][1])] if horizon > finite[-1][0] else [])]
        area = sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(points))
        return area / (points[-1][0] - points[0][0]) if len(points) > 1 else points[0][1]
    if measure.kind == "batches_to":
        sign = 1 if measure.rising else -1
        reached = [step for step, value in finite if sign * (value - measure.arguments[0]) >= 0]
        return float(reached[0]) if reached else math.inf
    if measure.kind == "fluctuation":
        late = [value for step, value in finite if step >= finite[-1][0] / 2]
        jumps = [(b - a) ** 2 for a, b in pairwise(late)]
        return math.sqrt(fmean(jumps) / 2) if jumps else None
    if measure.kind == "at":
        return around(finite, measure.arguments[0] * finite[-1][0], WINDOW * finite[-1][0])
    if measure.kind == "change":
        first, last = (around(finite, share * finite[-1][0], WINDOW * finite[-1][0]) for share in measure.arguments)
        return last - first
    raise ValueError(f"{measure.kind} is not taken from a curve")


def around(points: Sequence[tuple[int, float]], place: float, window: float) -> float:
    """The mean of the points within a window, or the nearest one."""
    near = [value for step, value in points if abs(step - place) <= window]
    return fmean(near) if near else min(points, key=lambda point: abs(point[0] - place))[1]


def write_outcomes(path: Path, outcomes: Sequence[Outcome], names: Sequence[str], command: str) -> None:
    """Write a CSV file: a line with the command, then a row for each trial; `names` are those of the settings."""
    quantities = list(dict.fromkeys(name for outcome in outcomes for name in outcome.values))
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as unfinished, unfinished.open("w", newline="", encoding="utf-8") as file:
        file.write(f"# {command}\n")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*FACTS, *quantities])
        for one in outcomes:
            facts = [one.trial, names[one.setting], one.seed, one.look, one.state]
            facts += [one.epochs, one.batches, one.seconds, one.commit, one.machine]
            writer.writerow([*facts, *(shown(one.values.get(name)) for name in quantities)])


def shown(value: float | None) -> str:
    """Six significant digits, which is less than seeds differ by."""
    return "" if value is None else f"{value:.6g}"


def read_outcomes(path: Path, names: Sequence[str]) -> list[Outcome]:
    """The trials in a file of `write_outcomes`.

    Raises:
        UserError: if it is another file, or about settings that the study does not have.
    """
    with path.open(newline="", encoding="utf-8") as file:
        lines = [line for line in csv.reader(file) if line and not line[0].startswith("#")]
    header = lines[0] if lines else []
    if tuple(header[: len(FACTS)]) != FACTS:
        raise UserError(f"{path} does not hold the results of a study: expected the columns {', '.join(FACTS)}")
    outcomes = []
    for number, cells in enumerate(lines[1:], start=3):
        row = dict(zip(header, cells, strict=False))
        if len(cells) != len(header):
            raise UserError(f"{path}, line {number}: {len(cells)} cells, expected {len(header)}")
        if row["setting"] not in names:
            raise UserError(f"{path}, line {number}: the study has no setting {row['setting']}: write the file anew")
        values = {name: float(row[name]) for name in header[len(FACTS) :] if row[name]}
        outcomes.append(
            Outcome(
                trial=int(row["trial"]),
                setting=names.index(row["setting"]),
                seed=int(row["seed"]),
                state=row["state"],
                values=values,
                look=int(row["look"]),
                epochs=int(row["epochs"]) if row["epochs"] else None,
                batches=int(row["batches"]) if row["batches"] else None,
                seconds=float(row["seconds"]) if row["seconds"] else None,
                commit=row["commit"],
                machine=row["machine"],
            )
        )
    return outcomes
