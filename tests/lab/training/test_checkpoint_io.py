"""Checkpoints are replaced whole or not at all."""

import multiprocessing
import random
import time
from itertools import count
from pathlib import Path

import pytest
import torch
from lightning_fabric.plugins import TorchCheckpointIO
from pytorch_lightning.plugins import MixedPrecision

from lab.training.checkpoint_io import AtomicCheckpointIO, with_atomic_checkpoints


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_checkpoint_is_written_into_a_new_folder(tmp_path):
    path = tmp_path / "checkpoints" / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"step": 3}, path)
    assert AtomicCheckpointIO().load_checkpoint(path, weights_only=True) == {"step": 3}
    assert names(path.parent) == ["last.ckpt"]


def test_a_failed_write_keeps_the_checkpoint_before(tmp_path, monkeypatch):
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"step": 1}, path)

    def fill_the_disk(checkpoint, file):
        Path(file).write_bytes(b"half")
        raise OSError(28, "No space left on device", str(file))

    monkeypatch.setattr(torch, "save", fill_the_disk)
    with pytest.raises(OSError, match="No space left"):
        AtomicCheckpointIO().save_checkpoint({"step": 2}, path)
    assert AtomicCheckpointIO().load_checkpoint(path, weights_only=True) == {"step": 1}
    assert names(tmp_path) == ["last.ckpt"]


def test_nothing_is_staged_in_tmpdir(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    AtomicCheckpointIO().save_checkpoint({"step": 1}, tmp_path / "last.ckpt")
    assert names(tmp_path) == ["last.ckpt"]


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path):
    others = [".best.ckpt.1234.unfinished", "best.ckpt", ".last.ckpt.notes"]
    for name in [".last.ckpt.1234.unfinished", *others]:
        (tmp_path / name).touch()
    AtomicCheckpointIO().save_checkpoint({"step": 1}, tmp_path / "last.ckpt")
    assert names(tmp_path) == sorted([*others, "last.ckpt"])


def test_other_file_systems_are_left_to_lightning():
    AtomicCheckpointIO().save_checkpoint({"step": 1}, "memory://bucket/last.ckpt")
    assert AtomicCheckpointIO().load_checkpoint("memory://bucket/last.ckpt", weights_only=True) == {"step": 1}


def test_plugins_of_the_user_stay():
    precision, own = MixedPrecision("bf16-mixed", "cpu"), TorchCheckpointIO()
    assert [type(plugin) for plugin in with_atomic_checkpoints(None)] == [AtomicCheckpointIO]
    first, second = with_atomic_checkpoints(precision)
    assert first is precision
    assert isinstance(second, AtomicCheckpointIO)
    assert with_atomic_checkpoints([own, precision]) == [own, precision]


def write_for_ever(path, first):
    """Checkpoints of rising numbers, one over the other."""
    weights = torch.zeros(2_000_000)
    for step in count(first):
        AtomicCheckpointIO().save_checkpoint({"step": step, "weights": weights}, path)


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_a_checkpoint_that_opens(tmp_path):
    path = tmp_path / "last.ckpt"
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([__name__])  # torch is imported once
    moments, step, written = random.Random(0), 0, -1
    for _ in range(200):
        writer = processes.Process(target=write_for_ever, args=(path, step + 1))
        writer.start()
        while not path.exists() or path.stat().st_mtime_ns == written:
            time.sleep(0.005)
        time.sleep(moments.uniform(0, 0.1))
        writer.kill()
        writer.join()
        written, before, step = path.stat().st_mtime_ns, step, torch.load(path, weights_only=True)["step"]
        assert step > before
