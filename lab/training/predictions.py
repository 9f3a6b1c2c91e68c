"""predictions.csv: what a model predicts for each input."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any


def write_predictions(path: Path, batches: Iterable[dict[str, Any]], names: Sequence[str] | None = None) -> int:
    """Write a row an input, `id` first and then the columns of the batches; the number of rows.

    Args:
        path: the file.
        batches: in order; each has the same columns, lists or tensors (batch,).
        names: of the inputs, as `id`; by default they are numbered from 0.
    """
    number = 0
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        for batch in batches:
            if number == 0:
                writer.writerow(["id", *batch])
            columns = [column if isinstance(column, list) else column.tolist() for column in batch.values()]
            for row in zip(*columns, strict=True):
                writer.writerow([number if names is None else names[number], *row])
                number += 1
    return number
