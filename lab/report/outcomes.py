"""The outcomes of a study's trials, as claims compare them, from the trials' folders."""

from collections.abc import Sequence
from pathlib import Path

from lab.claims.claim import Claim
from lab.claims.definition import Definition, define
from lab.claims.judge import Judged, judge
from lab.claims.outcomes import ADDED, Outcome, measured
from lab.report.runs import Run, parse_yaml, read_text
from lab.report.study_results import read_study


def definition_of(folder: Path) -> Definition:
    """The settings and the claims in the study.yaml of a folder.

    Raises:
        UserError: for a claim that the study could not decide.
    """
    path = folder / "study.yaml"
    study = parse_yaml(path, read_text(path) or "")
    return define(path, study, study.get("claims"), absent_settings=bool(study.get("quick")))


def judge_folder(folder: Path, definition: Definition | None = None) -> list[Judged]:
    """The verdicts on the claims of the study in a folder; by default those that its study.yaml names."""
    definition = definition or definition_of(folder)
    return judge(definition.claims, outcomes_in(folder, definition))


def outcomes_in(folder: Path, definition: Definition) -> list[Outcome]:
    """The outcomes of a study's planned trials and of those that were added."""
    outcomes = []
    for look, place in enumerate([folder, *added(folder)]):
        if (place / "results.csv").is_file():
            outcomes += outcomes_of(place, definition, look)
    return outcomes


def added(folder: Path) -> list[Path]:
    """The folders of the studies with added seeds, in their order."""
    return sorted((path.parent for path in (folder / ADDED).glob("*/study.yaml")), key=lambda place: int(place.name))


def outcomes_of(folder: Path, definition: Definition, look: int) -> list[Outcome]:
    """The outcomes of the trials in one folder, of the settings that are in the definition, too."""
    path = folder / "study.yaml"
    own = define(path, parse_yaml(path, read_text(path) or ""), None)
    study = read_study(folder)
    horizon = max((run.batches or 0 for run in study.runs), default=0)
    recorded = [metric.name for metric in study.metrics]
    outcomes = []
    for run in study.runs:
        place = (run.trial or 0) // len(own.seeds)
        name = own.names[place] if place < len(own.names) else None  # of a search, or of a table that was changed
        if name in definition.names and run.seed is not None:
            complete = run.state == "complete"
            outcomes.append(
                Outcome(
                    trial=run.trial or 0,
                    setting=definition.names.index(name),
                    seed=run.seed,
                    state=run.state,
                    values=values_of(run, definition.claims, recorded, horizon) if complete else {},
                    look=look,
                    epochs=run.epochs,
                    batches=run.batches,
                    seconds=run.seconds,
                    commit=run.versions.get("commit", ""),
                    machine=machine(run),
                )
            )
    return outcomes


def machine(run: Run) -> str:
    """`x86_64, 2 cores` or the name of the GPU."""
    known = run.hardware
    return str(known.get("gpu") or f"{known.get('processor', '?')}, {known.get('cores', '?')} cores") if known else ""


def values_of(run: Run, claims: Sequence[Claim], recorded: Sequence[str], horizon: int) -> dict[str, float]:
    """The recorded metrics of a complete run, and the quantities of claims."""
    values = {name: run.metrics[name] for name in recorded if name in run.metrics}
    for claim in claims:
        found: float | None
        if claim.kind == "event":
            found = float(any(alarm.name == claim.event for alarm in run.alarms))
        elif claim.metric == "seconds":
            found = run.seconds
        elif claim.measure.kind == "last":
            found = run.metrics.get(claim.metric)
        else:
            curve = run.curves.get(claim.metric)
            found = measured(claim.measure, curve.steps, curve.values, horizon) if curve else None
        if found is not None:
            values[claim.quantity] = found
    return values
