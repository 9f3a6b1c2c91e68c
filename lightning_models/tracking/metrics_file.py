"""metrics.csv: a row for each step at which metrics were logged."""

import csv
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only
from torch import Tensor

from lab.files import atomic_write

Row = dict[str, Any]


class MetricsFile(Logger):
    """Writes `metrics.csv` into the run folder; a resumed run appends to the same file.

    Columns are sorted by name, and a new metric adds a column to all rows. Rows are on disk as soon as they are logged.
    A file that a power cut or a full disk has damaged is repaired when it is opened.
    """

    def __init__(self, run_dir: str | Path) -> None:
        super().__init__()
        self.run_dir = Path(run_dir)
        self.path = self.run_dir / "metrics.csv"
        self.columns: list[str] | None = None  # None before the file is opened

    @property
    def name(self) -> str:
        """Empty: the run folder is the name."""
        return ""

    @property
    def version(self) -> str:
        """Empty: the run folder is the version."""
        return ""

    @property
    def save_dir(self) -> str:
        """The run folder."""
        return str(self.run_dir)

    @property
    def log_dir(self) -> str:
        """The run folder."""
        return str(self.run_dir)

    @rank_zero_only
    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: config.yaml in the run folder has them."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, Any], step: int | None = None) -> None:
        """Append a row."""
        values = {name: value.item() if isinstance(value, Tensor) else value for name, value in metrics.items()}
        row = {**values, "step": step or 0}
        columns = self.open()
        if not set(row) <= set(columns):
            self.columns = sorted({*columns, *row})
            self.rewrite(self.rows())
        with self.path.open("a", newline="") as file:
            csv.DictWriter(file, self.open()).writerow(row)

    def drop_from(self, step: int) -> tuple[int, set[str]]:
        """Remove the rows of batch number `step` (from 0) and later, which a resumed run writes again.

        Returns:
            The last step of the removed rows, -1 if there are none, and the names of the metrics that it had.
        """
        self.open()
        rows = self.rows()
        if rows:
            self.rewrite([row for row in rows if int(row["step"]) < step])
        last = max((int(row["step"]) for row in rows if int(row["step"]) >= step), default=-1)
        return last, {name for row in rows if int(row["step"]) == last for name in row if row[name]}

    def open(self) -> list[str]:
        """The columns of the file, which is repaired first if it is damaged; none if there is no file."""
        if self.columns is None:
            self.columns = []
            if self.path.is_file():
                self.columns, rows, num_damaged = intact_rows(self.path)
                if num_damaged:
                    print(f"metrics.csv: removed {num_damaged} damaged row{'s' if num_damaged > 1 else ''}", flush=True)
                    self.rewrite(rows)
        return self.columns

    def rows(self) -> list[Row]:
        """The rows of the file as texts by column."""
        if not self.path.is_file():
            return []
        with self.path.open(newline="") as file:
            return list(csv.DictReader(file))

    def rewrite(self, rows: list[Row]) -> None:
        """Replace the file: a run that is killed meanwhile keeps the old one."""
        with atomic_write(self.path) as unfinished, unfinished.open("w", newline="") as file:
            writer = csv.DictWriter(file, self.columns or [])
            if self.columns:
                writer.writeheader()
            writer.writerows(rows)


def intact_rows(path: Path) -> tuple[list[str], list[Row], int]:
    """The columns of a metrics.csv, its intact rows, and the number of damaged lines.

    A line is damaged if it does not end in a newline, holds NUL bytes or anything but numbers, or lacks a cell.
    Without an intact header no row can be read.
    """
    header, *lines = path.read_bytes().decode(errors="replace").splitlines(keepends=True) or [""]
    columns = cells(header)
    if "step" not in columns:
        return [], [], len([header, *lines]) if header else 0
    found = [dict(zip(columns, cells(line), strict=False)) for line in lines]
    rows = [row for row in found if len(row) == len(columns) and all(map(is_number, row.values())) and row["step"]]
    rows = [row for row in rows if row["step"].isdecimal()]
    return columns, rows, len(lines) - len(rows)


def cells(line: str) -> list[str]:
    """The cells of a whole line; none of a damaged one."""
    if not line.endswith("\n") or "\0" in line:
        return []
    return next(csv.reader([line]), [])


def is_number(cell: str) -> bool:
    """Whether a cell is empty or a number, NaN and infinity included."""
    try:
        float(cell or 0)
    except ValueError:
        return False
    return True
