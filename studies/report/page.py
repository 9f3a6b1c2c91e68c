"""The page: what `collect` found, arranged in sections and rendered."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from plotly.offline import get_plotlyjs

from studies.report import charts
from studies.report.charts import Chart
from studies.report.collect import Collection, collect
from studies.report.pictures import Picture, embed, largest_side
from studies.report.runs import Artifact, Run
from studies.report.table import (
    Setting,
    best,
    decimals,
    group,
    is_number,
    ranking,
    short_names,
    show,
    show_duration,
    show_number,
    show_spread,
)

PAGE = "report.html"
MOST_TIMES = 5  # rows of a matrix of samples: start, half, end and two between
MATRIX_COLUMNS = 6  # columns that can be looked at side by side, on a screen and on paper
MOST_SETTINGS = 40  # whose pictures are embedded
MAIN_CURVES = 4  # charts that are open at first
WIDE = 2.0  # width over height of a picture that takes a line of its own
LONGEST_TEXT = 3000  # characters of a generated text

HEADINGS = {  # the known names in samples/, in their order on the page
    "progress": "Progress",
    "reconstructions": "Reconstructions",
    "interpolation": "Interpolations",
    "between_images": "Interpolations between images",
    "traversals": "Traversals of the latent space",
    "confusion_matrix": "Confusion matrices",
}
DRAWN_HERE = ("learning_curves",)  # pictures of what the page draws itself


@dataclass(frozen=True)
class Cell:
    """A picture of the page with what it shows."""

    picture: Picture
    alt: str
    caption: str


@dataclass(frozen=True)
class Matrix:
    """Pictures in rows of time and columns of settings, each with the parts of its name; None where a run has none."""

    columns: list[list[str]]
    rows: list[tuple[str, list[Cell | None]]]


@dataclass(frozen=True)
class Gallery:
    """Pictures of one kind beside or, where they are wide, below each other."""

    heading: str
    cells: list[Cell]
    wide: bool


def write_page(folder: Path) -> Path:
    """Make `folder`/report.html; the old one is replaced when the new one is complete.

    Raises:
        ValueError, OSError: see `collect`.
    """
    text = render(collect(folder))
    path = folder / PAGE
    part = path.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
    return path


def render(collection: Collection) -> str:
    """The page as HTML."""
    environment = Environment(
        loader=PackageLoader("studies.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "show": show,
        "number": show_number,
        "spread": show_spread,
        "duration": show_duration,
        "breakable": breakable,
        "count": "{:,}".format,
        "json_in_html": lambda text: Markup(text.replace("<", "\\u003c")),
    }
    environment.tests["numeric"] = is_number
    settings = group(collection)
    shades = charts.colours(settings, collection)
    main, others = curves(collection, charts.learning_curves(settings, shades))
    album = Album(collection, settings)
    templates = files("studies.report") / "templates"
    return environment.get_template("page.html.j2").render(
        collection=collection,
        settings=settings,
        shades=shades,
        names=short_names(collection.options),
        best={metric.name: best(settings, metric) for metric in collection.metrics},
        places={
            metric.name: decimals([found for setting in settings if (found := setting.spread(metric.name))])
            for metric in collection.metrics
        },
        recorded=[m for m in collection.metrics if any(m.name in run.metrics for run in collection.runs)],
        effects=charts.against_options(collection, settings, shades),
        curves=main,
        other_curves=others,
        matrices=album.matrices(),
        galleries=album.galleries(),
        texts=texts(album.settings, album.single),
        left_out=len(settings) - len(album.settings),
        unfinished=[run for run in collection.runs if run.state != "complete" or run.error],
        states=Counter(run.state for run in collection.runs),
        facts=facts(collection),
        style=Markup((templates / "page.css").read_text(encoding="utf-8")),
        script=Markup((templates / "page.js").read_text(encoding="utf-8")),
        plotly=Markup(get_plotlyjs()),
    )


def breakable(name: str) -> Markup:
    """A name that may go on in a new line behind a slash, a dot, or an underscore after two letters or more."""
    return Markup(re.sub(r"([/.]|(?<=\w\w)_)", r"\1<wbr>", str(escape(name))))


def curves(collection: Collection, found: dict[str, Chart]) -> tuple[list[Chart], list[Chart]]:
    """The charts that are open at first, what is compared and the losses, and the others."""
    compared = [metric.name for metric in collection.metrics if metric.direction is not None]
    losses = [name for name in found if name.endswith("loss")]
    telling = [name for name, chart in found.items() if not chart.flat]
    first = list(dict.fromkeys(name for name in [*compared, *losses, *telling, *found] if name in found))
    count = max(min(MAIN_CURVES, len(telling)), sum(name in found for name in compared[:MAIN_CURVES]) + len(losses[:2]))
    return [found[name] for name in first[:count]], [found[name] for name in first[count:]]


class Album:
    """The pictures of the settings, one run each, embedded as small as their number asks for."""

    def __init__(self, collection: Collection, settings: list[Setting]) -> None:
        chosen = ranking(settings, collection.metrics[0] if collection.metrics else None)[:MOST_SETTINGS]
        self.settings = [setting for setting in settings if setting in chosen]
        self.single = collection.kind == "run"
        self.runs = [setting.shown() for setting in self.settings]
        self.series = list(dict.fromkeys(p.name for run in self.runs for p in run.pictures if p.batch is not None))
        singles = {p.name for run in self.runs for p in run.pictures if p.batch is None and p.name not in DRAWN_HERE}
        known = [name for name in HEADINGS if name in singles]
        self.singles = [*known, *sorted(singles.difference(HEADINGS))]
        count = len(self.runs) * (len(self.singles) + MOST_TIMES * len(self.series))
        self.side = largest_side(count)

    def cell(self, setting: Setting, artifact: Artifact, caption: str) -> Cell:
        """One picture."""
        moment = "" if artifact.batch is None else f", batch {artifact.batch:,}"
        return Cell(embed(artifact.path, self.side), f"{artifact.name}: {setting.label}{moment}", caption)

    def matrices(self) -> list[tuple[str, list[Matrix]]]:
        """Series of pictures, by name, in blocks of a few settings; of a single run with time in columns."""
        return [(heading(name), self.matrix(name)) for name in self.series]

    def matrix(self, name: str) -> list[Matrix]:
        """The pictures called `name`, rows = time, columns = settings."""
        columns = []
        for setting, run in zip(self.settings, self.runs, strict=True):
            series = {p.batch: p for p in run.pictures if p.name == name and p.batch is not None}
            if series:
                columns.append((setting, series))
        longest = max((series for _, series in columns), key=lambda series: len(series))
        batches = sorted(longest)
        times = spaced(batches, MOST_TIMES)
        if self.single:
            [(setting, series)] = columns
            cells: list[Cell | None] = [self.cell(setting, series[batch], "") for batch in times]
            return [Matrix([[f"batch {batch:,}"] for batch in times], [("", cells)])]
        aligned = all(series.keys() <= set(batches) for _, series in columns)
        matrices = []
        for start in range(0, len(columns), MATRIX_COLUMNS):
            block = columns[start : start + MATRIX_COLUMNS]
            if aligned:
                rows = [
                    (f"batch {t:,}", [self.cell(s, own[t], "") if t in own else None for s, own in block])
                    for t in times
                ]
            else:  # runs of different lengths: by the part of their own training
                parts = [place / max(1, len(times) - 1) for place in range(len(times))]
                rows = [
                    (f"{part:.0%}", [self.at_part(setting, series, part) for setting, series in block])
                    for part in parts
                ]
            matrices.append(Matrix([setting.parts for setting, _ in block], rows))
        return matrices

    def at_part(self, setting: Setting, series: dict[int, Artifact], part: float) -> Cell:
        """The picture of `series` nearest to a part, 0 to 1, of its last batch; the caption says which it is."""
        batch = min(series, key=lambda batch: abs(batch - part * max(series)))
        return self.cell(setting, series[batch], f"batch {batch:,}")

    def galleries(self) -> list[Gallery]:
        """The pictures that are made once."""
        galleries = []
        for name in self.singles:
            cells = [
                self.cell(setting, picture, "" if self.single else setting.label)
                for setting, run in zip(self.settings, self.runs, strict=True)
                for picture in run.pictures
                if picture.name == name and picture.batch is None
            ]
            wide = all(cell.picture.width > WIDE * cell.picture.height for cell in cells)
            galleries.append(Gallery(heading(name), cells, wide))
        return galleries


def heading(name: str) -> str:
    """The heading of pictures called `name`."""
    if name == "grid":
        return "Samples"
    if "confusion" in name:
        return HEADINGS.get(name, f"Confusion matrices: {name.replace('_', ' ')}")
    return HEADINGS.get(name, name.replace("_", " ").capitalize())


def spaced(batches: list[int], most: int) -> list[int]:
    """At most so many of them, evenly spaced, the first and the last among them."""
    if len(batches) <= most:
        return batches
    return [batches[round(place * (len(batches) - 1) / (most - 1))] for place in range(most)]


@dataclass(frozen=True)
class Text:
    """What one setting generated under one name: the last text, and earlier ones with their captions."""

    caption: str
    last: str
    earlier: list[tuple[str, str]]


def texts(settings: list[Setting], single: bool) -> list[Text]:
    """The texts that each setting generated, over the time of its training."""
    found = []
    for setting in settings:
        by_name: defaultdict[str, dict[int, Artifact]] = defaultdict(dict)
        for artifact in setting.shown().texts:
            by_name[artifact.name][artifact.batch or 0] = artifact
        for name, series in by_name.items():
            *earlier, last = spaced(sorted(series), MOST_TIMES)
            parts = [] if single else [setting.label]
            parts += [name] if len(by_name) > 1 else []
            parts += [f"batch {last:,}"] if series[last].batch is not None else []
            told = [(f"batch {batch:,}", read_generated(series[batch].path)) for batch in earlier]
            found.append(Text(", ".join(parts) or name, read_generated(series[last].path), told))
    return found


def read_generated(path: Path) -> str:
    """A generated text, cut where it is too long for the page; the cut is named."""
    text = path.read_text(encoding="utf-8", errors="replace")
    left_out = len(text) - LONGEST_TEXT
    return text if left_out <= 0 else f"{text[:LONGEST_TEXT]}\n[and {left_out:,} more characters]"


def facts(collection: Collection) -> list[tuple[str, list[str]]]:
    """How the runs were made: each fact with the values that it took."""
    runs = collection.runs
    seconds = [run.seconds for run in runs if run.seconds is not None]
    duration = []
    if seconds:
        duration = [show_duration(sum(seconds))]
        if len(seconds) > 1:
            duration[0] += f" in {len(seconds)} runs, {show_duration(sum(seconds) / len(seconds))} each on average"
    versions = [collection.versions] if collection.versions else [run.versions for run in runs]
    command = [collection.command] if collection.command else [run.command for run in runs if run.command]
    found: list[tuple[str, list[str]]] = [
        ("Command", command if len(command) == 1 else []),
        ("Size", ["quick: a smaller study than the one that is asked for"] if collection.quick else []),
        ("Model", unique(run.model for run in runs)),
        ("Seeds" if len(runs) > 1 else "Seed", [", ".join(unique(run.seed for run in runs))]),
        ("Epochs", [spelled(run.epochs for run in runs)]),
        ("Batches", [spelled(run.batches for run in runs)]),
        ("Precision", unique(run.precision for run in runs)),
        ("Hardware", unique(hardware(run) for run in runs)),
        ("Versions", unique(", ".join(f"{name} {number}" for name, number in v.items()) for v in versions)),
        ("Duration", duration),
    ]
    return [(name, [value for value in values if value]) for name, values in found if any(values)]


def unique(values: Iterable[Any]) -> list[str]:
    """The distinct values as text, in order of appearance; without None and empty ones."""
    return list(dict.fromkeys(str(value) for value in values if value not in (None, "")))


def spelled(values: Iterable[int | None]) -> str:
    """`20`, or `10 to 20` where the runs differ."""
    known = [value for value in values if value is not None]
    if not known:
        return ""
    low, high = min(known), max(known)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def hardware(run: Run) -> str:
    """What a run was computed on."""
    known = run.hardware
    if not known:
        return ""
    devices = known.get("devices", 1)
    if known.get("gpu"):
        return f"{devices} x {known['gpu']}" if devices != 1 else str(known["gpu"])
    processes = f", {devices} processes" if devices != 1 else ""
    return f"{known.get('processor', 'processor unknown')}, {known.get('cores', '?')} cores, no GPU{processes}"
