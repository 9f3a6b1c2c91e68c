import csv

import torch

from lab.training.predictions import write_predictions

BATCHES = [
    {"category": ["cat", "dog"], "probability": torch.tensor([0.5, 1.0])},
    {"category": ["cat"], "probability": torch.tensor([0.25])},
]


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_rows_are_numbered_over_all_batches(tmp_path):
    assert write_predictions(tmp_path / "p.csv", BATCHES) == 3
    assert rows(tmp_path / "p.csv") == [
        ["id", "category", "probability"], ["0", "cat", "0.5"], ["1", "dog", "1.0"], ["2", "cat", "0.25"],
    ]  # fmt: skip


def test_rows_have_the_names_of_the_inputs_where_there_are_any(tmp_path):
    assert write_predictions(tmp_path / "p.csv", BATCHES, ["a.png", "b, c.png", "\ufffd.png"]) == 3
    assert [row[0] for row in rows(tmp_path / "p.csv")] == ["id", "a.png", "b, c.png", "\ufffd.png"]
