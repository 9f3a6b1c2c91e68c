"""The bare loops of the benchmarks train the networks of their configs, without Lightning."""

import json
import subprocess
import sys

import pytest
import torch

from benchmarks import stand_in_data
from benchmarks.__main__ import CONFIGS
from benchmarks.progress import Progress

TWO_BATCHES = """
import sys
from pathlib import Path
from benchmarks.bare import loops
assert set(loops()) == set({tasks})
counts = [[samples for samples, _ in zip(loop(Path({root!r})), range(2))] for loop in loops().values()]
assert not {{"pytorch_lightning", "lightning_fabric", "torchmetrics"}} & set(sys.modules)
print(counts)
"""


def test_progress_is_read_by_another_process(tmp_path):
    progress = Progress(tmp_path / "progress", writes=True)
    progress.add(3)
    progress.add(4)
    seen = Progress(tmp_path / "progress", writes=False).read()
    assert seen.samples == 7
    assert seen.cpu > 0


@pytest.mark.full
def test_every_task_has_a_loop_that_trains_without_lightning(tmp_path, monkeypatch):
    monkeypatch.setattr(stand_in_data, "NUM_IMAGES", {"train": 6_300, "t10k": 40})
    monkeypatch.setattr(stand_in_data, "NUM_CHARACTERS", 5_000)
    stand_in_data.write_data(tmp_path)
    batch = (torch.ones(3, 5, dtype=torch.int64), torch.tensor([5, 4, 2]), torch.tensor([0, 1, 1]))
    torch.save({"vocab_size": 7, "num_classes": 2, "training": [batch], "held_out": [batch]}, tmp_path / "surnames.pt")
    script = TWO_BATCHES.format(tasks=sorted(CONFIGS), root=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert sorted(json.loads(done.stdout)) == sorted(
        [[128, 128], [128, 128], [64, 64], [128, 128], [64, 64], [128, 128], [128, 128], [2048, 2048], [3, 3]]
    )


@pytest.mark.slow
def test_the_benchmark_compares_both_sides_and_writes_its_numbers(tmp_path):
    command = [sys.executable, "-m", "benchmarks", "classifier_mlp", "--rounds", "2", "--seconds", "1"]
    subprocess.run([*command, "--json", str(tmp_path / "found.json")], check=True)
    found = json.loads((tmp_path / "found.json").read_text())["classifier_mlp"]
    assert 0 < found["low"] <= found["ratio"] <= found["high"]
    assert found["ours"] > 1_000
    assert found["bare"] > 1_000
