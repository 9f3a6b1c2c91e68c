"""Reads the folder of a study: study.yaml, results.csv and the folders of its trials."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

from lab.errors import UserError, UserFileError
from lab.report.collection import LABEL, Collection, Metric, Plot
from lab.report.compare import without_twins
from lab.report.runs import STATES, Run, as_value, parse_yaml, read_run, read_text
from lightning_models.metrics.catalogue import direction_of

# Columns of results.csv that are neither an override nor a recorded metric.
FIXED_COLUMNS = ("trial", "state", "run_dir", "seed", "parameters", "seconds", "alarms", "error")


def read_study(folder: Path) -> Collection:
    """The study in `folder`: study.yaml, results.csv and the folders of its trials."""
    path = folder / "study.yaml"
    text = read_text(path) or ""
    study = parse_yaml(path, text)
    recorded = strings(path, study, "record")
    direction = study.get("direction")
    if direction not in (None, "minimize", "maximize"):
        raise UserError(f"{path}: direction is {direction!r}, expected minimize or maximize")
    metrics = [Metric(name, direction_of(name)) for name in recorded]
    if metrics and direction is not None:
        metrics[0] = Metric(recorded[0], direction)
    notes: list[str] = []
    runs, options = read_results(folder, recorded, notes)
    if not runs:
        raise UserError(f"{folder / 'results.csv'} has no trial yet: run the study first")
    plots = read_plots(path, study, options, recorded)
    varied = [option for option in options if len({run.settings.get(option) for run in runs}) > 1]
    if labels := study.get("labels"):
        varied = [LABEL]
        runs = [label(run, labels, len(study.get("seeds") or [0])) for run in runs]
    else:
        varied = without_twins(varied, runs, notes, [plot.option for plot in plots])
    return Collection(
        kind="study",
        title=str(study.get("title") or folder.resolve().name),
        question=optional_text(study.get("question")),
        caption=optional_text(study.get("caption")),
        command=optional_text(study.get("command")),
        quick=bool(study.get("quick")),
        versions={str(name): str(version) for name, version in (study.get("versions") or {}).items()},
        definition=text,
        runs=runs,
        options=varied,
        metrics=metrics,
        plots=plots,
        notes=notes,
    )


def label(run: Run, labels: list[str], seeds: int) -> Run:
    """The trial with the study's name for its setting; trials are numbered setting by setting."""
    place = (run.trial or 0) // seeds
    name = labels[place] if place < len(labels) else f"setting {place}"
    return replace(run, settings={**run.settings, LABEL: name})


def optional_text(value: Any) -> str | None:
    """`value` as text; None stays None."""
    return None if value is None else str(value).strip()


def strings(path: Path, study: dict[str, Any], key: str) -> list[str]:
    """The list of names under `key`."""
    content = study.get(key) or []
    if not isinstance(content, list) or not all(isinstance(name, str) for name in content):
        raise UserError(f"{path}: {key} is {content!r}, expected a list of names")
    return content


def read_plots(path: Path, study: dict[str, Any], options: list[str], recorded: list[str]) -> list[Plot]:
    """The plots that a study defines."""
    plots = []
    for entry in study.get("plot") or []:
        if not isinstance(entry, dict) or not {"x", "y"} <= entry.keys():
            raise UserError(f"{path}: plot has {entry!r}, expected {{x: option, y: metric}} and, optionally, log_x")
        for key, known in (("x", options), ("y", recorded)):
            if entry[key] not in known:
                raise UserError(
                    f"{path}: plot has {key}: {entry[key]}, which is not in results.csv; there are {', '.join(known)}"
                )
        plots.append(Plot(entry["x"], entry["y"], bool(entry.get("log_x"))))
    return plots


def read_results(folder: Path, recorded: list[str], notes: list[str]) -> tuple[list[Run], list[str]]:
    """The trials in results.csv with the content of their folders, and the names of the varied options."""
    path = folder / "results.csv"
    if not path.is_file():
        raise UserFileError(f"{path} does not exist: the study in {folder} has not been run yet")
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        lines = list(csv.reader(file))
    header = lines[0] if lines else []
    missing = [name for name in ("trial", "state", "run_dir") if name not in header]
    if missing:
        raise UserError(f"{path} has no column {' or '.join(missing)}: it is not the table of a study")
    options = [name for name in header if name not in FIXED_COLUMNS and name not in recorded]
    runs = []
    for number, cells in enumerate(lines[1:], start=2):
        try:
            if len(cells) != len(header):
                raise UserError(f"{len(cells)} cells, expected {len(header)}")
            row = dict(zip(header, cells, strict=True))
            if row["state"] not in STATES:
                raise UserError(f"state is '{row['state']}', expected one of {', '.join(STATES)}")
            runs.append(read_trial(folder, row, options, recorded, notes))
        except ValueError as error:
            if number == len(lines) and len(cells) != len(header):  # it is being written, or its writer was killed
                notes.append("The last line of results.csv is incomplete and was left out.")
                continue
            if str(folder) in str(error):  # about a file of the trial, which the message names
                raise
            raise UserError(f"{path}, line {number}: {error}") from None
    return runs, options


def read_trial(folder: Path, row: dict[str, str], options: list[str], recorded: list[str], notes: list[str]) -> Run:
    """The trial in a row of results.csv, with the content of its run folder."""
    run_dir = folder / row["run_dir"] if row["run_dir"] else None
    if run_dir is not None and run_dir.is_dir():
        run = read_run(run_dir, run_dir.name, notes)
    else:
        run = Run(run_dir.name if run_dir else f"trial {row['trial']}", None, "waiting")
        if run_dir is not None and row["state"] == "complete":
            notes.append(
                f"The folder {row['run_dir']} of a complete trial does not exist: its curves and pictures are missing."
            )
    metrics = {name: float(row[name]) for name in recorded if row.get(name)}
    state = next(state for state in STATES if state == row["state"])
    return replace(
        run,
        state=state,
        trial=int(row["trial"]),
        seed=int(row["seed"]) if row.get("seed") else run.seed,
        settings={option: as_value(row[option]) for option in options},
        metrics=run.metrics | metrics,
        parameters=run.parameters or ({"all": int(float(row["parameters"]))} if row.get("parameters") else {}),
        seconds=float(row["seconds"]) if row.get("seconds") else run.seconds,
        error=row.get("error") or run.error,
    )
