"""Pictures and generated texts of the settings, arranged for the page."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from lab.report.collection import Collection
from lab.report.pictures import Picture, embed, largest_side
from lab.report.runs import Artifact
from lab.report.table import Setting, ranking

MOST_TIMES = 5  # rows of a matrix of samples: start, end and three times between
MATRIX_COLUMNS = 6  # that fit side by side, on a screen and on paper
MOST_SETTINGS = 40  # whose pictures are embedded
WIDE = 2.0  # width over height above which pictures are shown in wide columns
LONGEST_TEXT = 3000  # characters of a generated text

HEADINGS = {  # of the known names in samples/, in their order on the page
    "progress": "Progress",
    "reconstructions": "Reconstructions",
    "interpolation": "Interpolations",
    "between_images": "Interpolations between images",
    "traversals": "Traversals of the latent space",
    "confusion_matrix": "Confusion matrices",
    "confusion_matrix_best": "Confusion matrices: the best validation",
}
ALARM = "alarm-"  # prefix of the pictures drawn when an alarm is raised
DRAWN_HERE = ("learning_curves",)  # pictures of charts that the page has itself


@dataclass(frozen=True)
class Cell:
    """A picture of the page, its description (`alt`) and the text below it."""

    picture: Picture
    alt: str
    caption: str


@dataclass(frozen=True)
class Matrix:
    """Pictures with times as rows and settings as columns; None where a run has no picture.

    A column is headed by the parts of a setting's label; a row is its label and its pictures.
    """

    columns: list[list[str]]
    rows: list[tuple[str, list[Cell | None]]]


@dataclass(frozen=True)
class Gallery:
    """Pictures of one kind, shown side by side; in fewer columns if they are wide."""

    heading: str
    cells: list[Cell]
    wide: bool


class Album:
    """The pictures of one run of each setting; the more there are, the smaller they are embedded."""

    def __init__(self, collection: Collection, settings: list[Setting]) -> None:
        chosen = ranking(settings, collection.metrics[0] if collection.metrics else None)[:MOST_SETTINGS]
        self.settings = [setting for setting in settings if setting in chosen]
        self.single = collection.kind == "run"
        self.runs = [setting.shown() for setting in self.settings]
        series = dict.fromkeys(p.name for run in self.runs for p in run.pictures if p.batch is not None)
        self.series = sorted(series, key=lambda name: (name.startswith(ALARM), name != "grid"))
        singles = {p.name for run in self.runs for p in run.pictures if p.batch is None and p.name not in DRAWN_HERE}
        known = [name for name in HEADINGS if name in singles]
        self.singles = [*known, *sorted(singles.difference(HEADINGS))]
        count = len(self.runs) * (len(self.singles) + MOST_TIMES * len(self.series))
        self.side = largest_side(count)

    def cell(self, setting: Setting, artifact: Artifact, caption: str) -> Cell:
        """The picture in a file of a run's `samples/`."""
        moment = "" if artifact.batch is None else f", batch {artifact.batch:,}"
        return Cell(embed(artifact.path, self.side), f"{artifact.name}: {setting.label}{moment}", caption)

    def matrices(self) -> list[tuple[str, list[Matrix]]]:
        """For each series of pictures its heading and its matrices, each of a few settings."""
        return [(heading(name), self.matrix(name)) for name in self.series]

    def matrix(self, name: str) -> list[Matrix]:
        """The pictures called `name`, in blocks of MATRIX_COLUMNS settings; of a single run, columns are times."""
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
            else:  # runs of different lengths: by the fraction of each run's training
                fractions = [place / max(1, len(times) - 1) for place in range(len(times))]
                rows = [(f"{f:.0%}", [self.at_fraction(s, series, f) for s, series in block]) for f in fractions]
            matrices.append(Matrix([setting.parts for setting, _ in block], rows))
        return matrices

    def at_fraction(self, setting: Setting, series: dict[int, Artifact], fraction: float) -> Cell:
        """The picture of `series` nearest to a fraction, 0 to 1, of its last batch; the caption names its batch."""
        batch = min(series, key=lambda batch: abs(batch - fraction * max(series)))
        return self.cell(setting, series[batch], f"batch {batch:,}")

    def galleries(self) -> list[Gallery]:
        """The pictures that a run makes once, by name."""
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
    if name.startswith(ALARM):
        return f"At the alarm: {name.removeprefix(ALARM).replace('_', ' ')}"
    return HEADINGS.get(name, name.replace("_", " ").capitalize())


def spaced(batches: list[int], most: int) -> list[int]:
    """At most `most` of the sorted batches: the first, the last and those nearest to evenly spaced times."""
    if len(batches) <= most:
        return batches
    first, last = batches[0], batches[-1]
    times = [first + (last - first) * place / (most - 1) for place in range(most)]
    return sorted({min(batches, key=lambda batch: abs(batch - time)) for time in times})


@dataclass(frozen=True)
class Text:
    """The texts of one setting under one name: the last one, and earlier ones with their captions."""

    caption: str
    last: str
    earlier: list[tuple[str, str]]


def texts(settings: list[Setting], single: bool) -> list[Text]:
    """The texts that each setting generated during its training."""
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
            before = [(f"batch {batch:,}", read_generated(series[batch].path)) for batch in earlier]
            found.append(Text(", ".join(parts) or name, read_generated(series[last].path), before))
    return found


def read_generated(path: Path) -> str:
    """A generated text; one that is too long for the page is cut, and says so."""
    text = path.read_text(encoding="utf-8", errors="replace")
    left_out = len(text) - LONGEST_TEXT
    return text if left_out <= 0 else f"{text[:LONGEST_TEXT]}\n[and {left_out:,} more characters]"
