"""What one run folder holds, as plain values."""

import csv
import json
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from lab import yaml_files
from lab.errors import UserError

State = Literal["complete", "failed", "pruned", "running", "waiting"]
STATES: tuple[State, ...] = get_args(State)
Value = int | float | str | bool | None

COUNTERS = ("epoch", "step")  # columns of metrics.csv that are not metrics
EVALUATION = re.compile(r"^(?P<command>validate|test|predict)(-(?P<number>\d+))?$")  # folders in a run's folder
NAME_AND_BATCH = re.compile(r"^(?P<name>.+?)-(?P<batch>\d+)$")  # grid-0000126


@dataclass(frozen=True)
class Curve:
    """One metric over the batches: `values[i]` was logged at batch `steps[i]`, ascending; nan and inf may occur."""

    steps: list[int]
    values: list[float]


@dataclass(frozen=True)
class Artifact:
    """A picture or text in `samples/`; `batch` is None if a run writes one such file only."""

    path: Path
    name: str
    batch: int | None


@dataclass(frozen=True)
class Alarm:
    """An alarm that was raised during a run."""

    name: str
    message: str
    batch: int | None = None


@dataclass(frozen=True)
class Run:
    """One training: its settings, its numbers and its files.

    `trial` is its number within a study; `settings` are its options by their command line names, `metrics` the last
    values, `parameters` the number of parameters of each network, and `seconds` the wall-clock time. What the folder
    does not say is None.
    """

    name: str
    folder: Path | None
    state: State
    trial: int | None = None
    seed: int | None = None
    settings: dict[str, Value] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    curves: dict[str, Curve] = field(default_factory=dict)
    parameters: dict[str, int] = field(default_factory=dict)
    seconds: float | None = None
    epochs: int | None = None
    batches: int | None = None
    command: str | None = None
    model: str | None = None
    precision: str | None = None
    versions: dict[str, str] = field(default_factory=dict)
    hardware: dict[str, Any] = field(default_factory=dict)
    pictures: list[Artifact] = field(default_factory=list)
    texts: list[Artifact] = field(default_factory=list)
    alarms: list[Alarm] = field(default_factory=list)
    error: str | None = None
    config: str | None = None

    @property
    def total_parameters(self) -> int | None:
        """Of all networks, without the moving averages of others (`generator_ema`)."""
        trained = [count for name, count in self.parameters.items() if not name.endswith("_ema")]
        return sum(trained) if trained else None


def is_run(folder: Path) -> bool:
    """Whether `folder` is a run's: it has a config, and results, alarms or an error."""
    return (folder / "config.yaml").is_file() and any(
        (folder / name).is_file() for name in ("metrics.csv", "summary.json", "error.txt", "alarms.json")
    )


def read_run(folder: Path, name: str, notes: list[str]) -> Run:
    """The run in `folder`, which need not be finished; what was left out is appended to `notes`.

    Raises:
        UserError: if a file cannot be understood; the message names it.
    """
    config_text = read_text(folder / "config.yaml")
    config = parse_yaml(folder / "config.yaml", config_text) if config_text else {}
    summary_path = folder / "summary.json"
    summary = read_json_object(summary_path)
    error = read_text(folder / "error.txt")
    metrics = numbers(summary, "metrics", summary_path)
    for path in measured_later(folder, summary_path, notes):
        metrics |= numbers(read_json_object(path), "metrics", path)
    seed = summary.get("seed", config.get("seed_everything"))
    return Run(
        name=name,
        folder=folder,
        state="failed" if error is not None else "complete" if summary_path.is_file() else "running",
        seed=seed if isinstance(seed, int) and not isinstance(seed, bool) else None,  # true: a random one
        settings=flat(config),
        metrics=metrics,
        curves=read_curves(folder / "metrics.csv", notes),
        parameters={key: int(count) for key, count in numbers(summary, "parameters", summary_path).items()},
        seconds=one(summary, "seconds", (int, float), summary_path),
        epochs=one(summary, "epochs", int, summary_path),
        batches=one(summary, "batches", int, summary_path),
        command=one(summary, "command", str, summary_path),
        model=one(summary, "model", str, summary_path),
        precision=one(summary, "precision", str, summary_path),
        versions=one(summary, "versions", dict, summary_path) or {},
        hardware=one(summary, "hardware", dict, summary_path) or {},
        pictures=artifacts(folder / "samples", ".png"),
        texts=artifacts(folder / "samples", ".txt"),
        alarms=read_alarms(folder / "alarms.json"),
        error=error,
        config=config_text,
    )


def measured_later(folder: Path, summary: Path, notes: list[str]) -> list[Path]:
    """The summaries of the last `cli.py validate` and the last `cli.py test` of the run.

    One that is older than the run's own summary was measured before the run was resumed: it is left out, and named in
    `notes`.
    """
    last: dict[str, tuple[int, Path]] = {}
    for child in sorted(folder.iterdir()):
        path, found = child / "summary.json", EVALUATION.match(child.name)
        if found and path.is_file():
            last[found["command"]] = max(last.get(found["command"], (0, path)), (int(found["number"] or 1), path))
    paths = []
    for _, path in last.values():
        if summary.is_file() and path.stat().st_mtime < summary.stat().st_mtime:
            notes.append(f"{folder.name}/{path.parent.name} was measured before the run was resumed and is left out.")
        else:
            paths.append(path)
    return paths


def read_text(path: Path) -> str | None:
    """The text of a file; None if it does not exist."""
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None


def parse_yaml(path: Path, text: str) -> dict[str, Any]:
    """The mapping in a YAML file."""
    content = yaml_files.parse_yaml(text, str(path))
    if not isinstance(content, dict):
        raise UserError(f"{path} holds a {type(content).__name__}, expected options with their values")
    return content


def read_json(path: Path) -> Any:
    """The content of a JSON file; None if it does not exist."""
    text = read_text(path)
    if text is None:
        return None
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{path} is not valid JSON ({error}): repair or remove it, then run report again") from None


def read_json_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file; an empty one if the file does not exist."""
    content = read_json(path)
    if content is not None and not isinstance(content, dict):
        raise UserError(f"{path} holds a {type(content).__name__}, expected an object with names and values")
    return content or {}


def numbers(summary: dict[str, Any], key: str, path: Path) -> dict[str, float]:
    """`summary[key]`, an object of names and numbers."""
    content = summary.get(key) or {}
    if not isinstance(content, dict):
        raise UserError(f"{path}: {key} is a {type(content).__name__}, expected an object with names and numbers")
    for name, value in content.items():
        if not isinstance(value, (int, float)):
            raise UserError(f"{path}: {key}.{name} is {value!r}, expected a number")
    return content


def one(summary: dict[str, Any], key: str, kind: type | tuple[type, ...], path: Path) -> Any:
    """`summary[key]`, which must be of that kind; None if it is not there."""
    value = summary.get(key)
    if value is not None and not isinstance(value, kind):
        raise UserError(f"{path}: {key} is {value!r}, which no run writes: repair or remove the file")
    return value


def read_curves(path: Path, notes: list[str]) -> dict[str, Curve]:
    """The curve of each metric in a metrics.csv, by name.

    A row may leave cells empty. An incomplete last row, as a killed or running process leaves it, is left out and named
    in `notes`.
    """
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        lines = list(csv.reader(file))
    if not lines:
        return {}
    header, rows = lines[0], lines[1:]
    if "step" not in header:
        raise UserError(f"{path} has no column 'step' in its first line: it is not the metrics.csv of a run")
    step_column = header.index("step")
    steps: dict[str, list[int]] = {name: [] for name in header if name not in COUNTERS}
    values: dict[str, list[float]] = {name: [] for name in steps}
    for number, row in enumerate(rows, start=2):
        try:
            if len(row) != len(header):
                raise UserError(f"{len(row)} cells, expected {len(header)}")
            step = int(row[step_column])
            found = [(name, float(cell)) for name, cell in zip(header, row, strict=True) if cell and name in steps]
        except ValueError as error:
            if number == len(rows) + 1:
                notes.append(f"The last line of {path.parent.name}/{path.name} is incomplete and was left out.")
                continue
            raise UserError(f"{path}, line {number}: {error}") from None
        for name, value in found:
            steps[name].append(step)
            values[name].append(value)
    return {name: Curve(steps[name], values[name]) for name in steps if steps[name]}


def read_alarms(path: Path) -> list[Alarm]:
    """The alarms of a run, oldest first."""
    content = read_json(path) or []
    if not isinstance(content, list) or not all(isinstance(alarm, dict) for alarm in content):
        raise UserError(f"{path}: expected a list of alarms, each an object with 'name' and 'message'")
    return [Alarm(str(a.get("name", "alarm")), str(a.get("message", "")), a.get("batch")) for a in content]


def artifacts(folder: Path, suffix: str) -> list[Artifact]:
    """The files of `folder` with this suffix, sorted by name and then by batch."""
    found = []
    for path in sorted(folder.glob(f"*{suffix}")) if folder.is_dir() else []:
        series = NAME_AND_BATCH.match(path.stem)
        found.append(
            Artifact(path, series["name"], int(series["batch"])) if series else Artifact(path, path.stem, None)
        )
    return found


def flat(config: dict[str, Any], prefix: str = "") -> dict[str, Value]:
    """The options of a config by their command line names: `model.latent_dim`, and `model` for the class."""
    options: dict[str, Value] = {}
    for key, value in config.items():
        if key == "class_path":
            options[prefix.removesuffix(".")] = str(value).rpartition(".")[2]
        elif isinstance(value, dict):
            options |= flat(value, prefix if key == "init_args" else f"{prefix}{key}.")
        elif isinstance(value, list):
            options[prefix + key] = ", ".join(str(item) for item in value)
        elif value is None or isinstance(value, (int, float, str)):
            options[prefix + key] = value
    return options


def as_value(text: str) -> Value:
    """A cell of results.csv as a number where it is one, else as text."""
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if number.is_integer() and math.isfinite(number) and "." not in text else number
