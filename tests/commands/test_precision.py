"""Bfloat16 only where the hardware computes it."""

import json

import pytest
import torch

import cli
from commands import precision
from commands.precision import usable_precision


@pytest.fixture
def slow_bfloat16(monkeypatch):
    monkeypatch.setattr(precision, "has_bfloat16", lambda accelerator: False)


@pytest.mark.parametrize(
    ("asked", "used"), [("bf16-mixed", "32-true"), ("32-true", "32-true"), ("16-mixed", "16-mixed"), (None, None)]
)
def test_float32_takes_the_place_of_imitated_bfloat16(slow_bfloat16, asked, used, capsys):
    assert usable_precision(asked, "auto") == used
    assert ("computes no bfloat16" in capsys.readouterr().err) == (asked != used)


def test_bfloat16_stays_where_the_hardware_has_it(monkeypatch):
    monkeypatch.setattr(precision, "has_bfloat16", lambda accelerator: True)
    assert usable_precision("bf16-mixed", "cpu") == "bf16-mixed"


@pytest.mark.parametrize("has_it", [True, False])
def test_a_gpu_is_asked_whether_it_only_emulates(monkeypatch, has_it):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or has_it)
    assert usable_precision("bf16-mixed", "gpu") == ("bf16-mixed" if has_it else "32-true")


@pytest.mark.parametrize(("accelerator", "is_cpu"), [("cpu", True), ("auto", True), ("tpu", False)])
def test_the_processor_counts_where_it_does_the_work(monkeypatch, accelerator, is_cpu):
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)  # then there are only slow loops
    assert precision.has_bfloat16(accelerator) != is_cpu


def test_a_run_says_what_it_computed_in(slow_bfloat16, tmp_path, capsys):
    options = ["--trainer.accelerator=cpu", "--trainer.log_every_n_steps=1", "--quiet"]
    options += ["--trainer.max_steps=1", "--trainer.precision=bf16-mixed"]
    cli.main(["fit", "--model=ImageClassifier", "--data=Digits", *options, f"--run_dir={tmp_path / 'run'}"])
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["precision"] == "32-true"
    assert "float32 in place of --trainer.precision bf16-mixed" in capsys.readouterr().err
