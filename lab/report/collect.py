"""Reads a folder: one run, a folder of runs, or a study."""

import csv
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from lab.errors import UserError, UserFileError
from lab.files import is_hidden
from lab.report.runs import EVALUATION, STATES, Run, Value, as_value, is_run, parse_yaml, read_run, read_text
from lightning_models.metrics.catalogue import CATALOGUE, Direction, direction_of

# Columns of results.csv that are neither an override nor a recorded metric.
FIXED_COLUMNS = ("trial", "state", "run_dir", "seed", "parameters", "seconds", "alarms", "error")
LABEL = "setting"  # the only option of a study that names its settings
DEEPEST = 4  # levels of folders that are searched for runs: runs/<family>/<experiment>/<time>

NO_RESULTS = ("second", "norm", "weight", "rate")  # samples_per_second, gradient_norm, kl_weight, learning_rate
NOT_COMPARED = ("config", "run_dir", "seed_everything", "ckpt_path", "quiet", "data.root", "data.num_workers")
COMPARED = ("model", "data", "trainer")


@dataclass(frozen=True)
class Metric:
    """A metric that runs are compared by; its direction is None if neither more nor less is better."""

    name: str
    direction: Direction | None


@dataclass(frozen=True)
class Plot:
    """A metric to be drawn against an option."""

    option: str
    metric: str
    log_x: bool = False


@dataclass(frozen=True)
class Collection:
    """The content of a page. `options` are those in which the runs differ, apart from the seed."""

    kind: Literal["run", "runs", "study"]
    title: str
    runs: list[Run]
    options: list[str] = field(default_factory=list)
    metrics: list[Metric] = field(default_factory=list)
    plots: list[Plot] = field(default_factory=list)
    question: str | None = None
    caption: str | None = None
    command: str | None = None
    quick: bool = False
    versions: dict[str, str] = field(default_factory=dict)
    definition: str | None = None
    notes: list[str] = field(default_factory=list)


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


def differing_options(runs: list[Run]) -> list[str]:
    """The options with more than one value among the runs that have them, without the seed and the paths of a run.

    An option that only some runs have, all with the same value, belongs to a class that another option chooses.
    """
    return [
        option
        for option in dict.fromkeys(option for run in runs for option in run.settings)
        if option not in NOT_COMPARED
        and option.partition(".")[0] in COMPARED
        and len({run.settings[option] for run in runs if option in run.settings}) > 1
    ]


def without_consequences(options: list[str], runs: list[Run], notes: list[str]) -> list[str]:
    """The options without those of a class that have one value for each class, such as the loss of `--model WGAN`.

    What is left out is named in `notes`.
    """
    kept, left_out = list[str](), dict[str, list[str]]()
    for option in options:
        words = option.split(".")
        owners = [owner for count in range(1, len(words)) if (owner := ".".join(words[:count])) in options]
        for owner in owners:
            found: dict[Value, set[Value]] = {}
            for run in runs:
                if option in run.settings:
                    found.setdefault(run.settings.get(owner), set()).add(run.settings[option])
            if all(len(values) == 1 for values in found.values()):
                left_out.setdefault(owner, []).append(option)
                break
        else:
            kept.append(option)
    for owner, followers in left_out.items():
        notes.append(f"Not shown, because each {owner} has its own: {', '.join(followers)}.")
    return kept


def varies_alone(option: str, options: list[str], runs: list[Run]) -> bool:
    """Whether two runs differ in this option and in no other one, so that its effect can be seen."""
    values: dict[tuple[Value, ...], set[Value]] = {}
    for run in runs:
        others = tuple(run.settings.get(other) for other in options if other != option)
        values.setdefault(others, set()).add(run.settings.get(option))
    return any(len(found) > 1 for found in values.values())


def without_twins(options: list[str], runs: list[Run], notes: list[str], plotted: Sequence[str] = ()) -> list[str]:
    """The options without those that always equal another one, such as the layers of both networks of a GAN.

    Plotted options stay; those left out are named in `notes`.
    """
    kept: dict[tuple[Value, ...], str] = {}
    for option in sorted(options, key=lambda option: option not in plotted):
        twin = kept.setdefault(tuple(run.settings.get(option) for run in runs), option)
        if twin != option and option not in plotted:
            notes.append(f"{option} always has the value of {twin} and is not shown.")
    return [option for option in options if option in kept.values() or option in plotted]


def spans_decades(runs: list[Run], option: str) -> bool:
    """Whether an option's values are positive numbers and the largest is at least 50 times the smallest."""
    values = [value for run in runs if isinstance(value := run.settings.get(option), (int, float))]
    return len(values) == len(runs) and min(values) > 0 and max(values) / min(values) >= 50


def main_metrics(runs: list[Run]) -> list[Metric]:
    """The metrics on test data; if there are none, those on validation data; if there are none, those of training.

    In the order of the catalogue, those without a better direction last.
    """
    found = {name for run in runs for name in run.metrics if is_result(name)}
    places = {name: place for place, name in enumerate(CATALOGUE)}
    names = sorted(
        (name for name in found if not is_detail(name, found)),
        key=lambda name: (direction_of(name) is None, places.get(name.rpartition("/")[2], len(places)), name),
    )
    for split in ("test/", "val/", ""):
        if chosen := [Metric(name, direction_of(name)) for name in names if name.startswith(split)]:
            return chosen
    return []


def is_result(metric: str) -> bool:
    """Whether a metric says how good a model is; speeds, norms and weights of a loss do not."""
    return not any(word in NO_RESULTS for word in metric.rpartition("/")[2].split("_"))


def is_detail(metric: str, others: Iterable[str]) -> bool:
    """Whether a metric details another one, as `val/accuracy_7` does if there is `val/accuracy`."""
    return any(metric.startswith(f"{other}_") for other in others)


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


def finite(value: float | None) -> bool:
    """Whether `value` is a finite number."""
    return value is not None and math.isfinite(value)
