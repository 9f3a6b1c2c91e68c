"""Bfloat16 only where the hardware computes it; weights of other types than float32 only where they work."""

import json

import pytest
import torch

import cli
from lab.training import precision
from lab.training.precision import usable_precision


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


@pytest.mark.parametrize("precision", ["16-true", "bf16-true", "64-true", "64"])
@pytest.mark.parametrize("model", ["GAN", "WGANGP", "VAE", "ImageClassifier"])
def test_models_of_images_have_float32_weights(model, precision, tmp_path, capsys):
    options = [f"--trainer.precision={precision}", f"--run_dir={tmp_path / 'run'}"]
    with pytest.raises(SystemExit, match="2"):
        cli.main(["fit", f"--model={model}", "--data=Digits", *options])
    message = f"--trainer.precision {precision}: a {model} has float32 weights: use 32-true, bf16-mixed or 16-mixed"
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_models_of_sequences_may_have_weights_of_16_bits(tmp_path):
    options = ["--data.length=5", "--trainer.max_steps=2", "--trainer.limit_val_batches=1", "--trainer.accelerator=cpu"]
    options += ["--trainer.precision=bf16-true", "--trainer.log_every_n_steps=1", "--quiet"]
    run = tmp_path / "run"
    cli.main(["fit", "--model=SequenceClassifier", "--data=Palindromes", *options, f"--run_dir={run}"])
    assert json.loads((run / "summary.json").read_text())["precision"] == "bf16-true"


def test_a_run_says_what_it_computed_in(slow_bfloat16, tmp_path, capsys):
    options = ["--trainer.accelerator=cpu", "--trainer.log_every_n_steps=1", "--quiet"]
    options += ["--trainer.max_steps=1", "--trainer.precision=bf16-mixed"]
    cli.main(["fit", "--model=ImageClassifier", "--data=Digits", *options, f"--run_dir={tmp_path / 'run'}"])
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["precision"] == "32-true"
    assert "float32 in place of --trainer.precision bf16-mixed" in capsys.readouterr().err
