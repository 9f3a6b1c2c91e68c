"""Reads a folder: one run, a folder of runs, or a study."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from lab.errors import UserError, UserFileError
from lab.files import is_hidden
from lab.report.collection import Collection, Plot
from lab.report.compare import (
    differing_options,
    main_metrics,
    spans_decades,
    varies_alone,
    without_consequences,
    without_twins,
)
from lab.report.runs import EVALUATION, is_run, read_run
from lab.report.study_results import read_study

DEEPEST = 4  # levels of folders that are searched for runs: runs/<family>/<experiment>/<time>


def collect(folder: Path) -> Collection:
    """Read `folder`: a study (it has study.yaml), a run (config.yaml and results), or runs in folders below it.

    Raises:
        UserError: if there is nothing to report, or a file cannot be understood; the message names it.
    """
    if not folder.exists():
        raise UserFileError(f"{folder} does not exist: give the folder of a run, of several runs, or of a study")
    if not folder.is_dir():
        raise UserError(f"{folder} is a file: give the folder of a run, of several runs, or of a study")
    if (folder / "study.yaml").is_file():
        return read_study(folder)
    if is_run(folder):
        return read_single_run(folder)
    return read_runs(folder)


def read_single_run(folder: Path) -> Collection:
    """The run in `folder`."""
    notes: list[str] = []
    run = read_run(folder, folder.resolve().name, notes)
    data = run.settings.get("data")
    title = f"{run.model} on {data}" if run.model and data else run.name
    return Collection("run", title, [run], metrics=main_metrics([run]), notes=notes)


def read_runs(folder: Path) -> Collection:
    """The runs in folders below `folder`, compared by the options in which they differ."""
    folders = list(run_folders(folder, DEEPEST))
    if not folders:
        found = ", ".join(sorted(path.name for path in folder.iterdir())[:5]) or "nothing"
        raise UserError(
            f"{folder} holds no run: expected a study.yaml, or a config.yaml with a metrics.csv or summary.json, in it "
            f"or in a folder below; found {found}"
        )
    notes: list[str] = []
    runs = [read_run(path, path.relative_to(folder).as_posix(), notes) for path in folders]
    differing = without_consequences(differing_options(runs), runs, notes)
    runs = [replace(run, settings={**dict.fromkeys(differing, ""), **run.settings}) for run in runs]
    options, metrics = without_twins(differing, runs, notes), main_metrics(runs)
    plots = [
        Plot(option, metric.name, spans_decades(runs, option))
        for metric in metrics[:1]
        for option in options
        if varies_alone(option, options, runs)
    ]
    return Collection("runs", folder.resolve().name, runs, options, metrics, plots, notes=notes)


def run_folders(folder: Path, depth: int) -> Iterator[Path]:
    """The run folders below `folder` in order of their names, without those of `validate`, `test` and `predict`."""
    for child in sorted(folder.iterdir()):
        if child.is_dir() and not is_hidden(child.name):
            if EVALUATION.match(child.name) and not (child / "metrics.csv").exists():
                continue
            if is_run(child):
                yield child
            elif depth > 1:
                yield from run_folders(child, depth - 1)
