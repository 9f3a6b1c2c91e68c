"""Bfloat16 only where the hardware computes it; weights of other types than float32 only where they work."""

import json
import re

import pytest
import torch

import cli
from lab.errors import UserError
from lab.training import precision
from lab.training.precision import check_precision, usable_precision
from lightning_models.gan import GAN
from lightning_models.gan_variants import WGANGP
from lightning_models.image_classifier import ImageClassifier
from lightning_models.language_model import CharLanguageModel
from lightning_models.sequence_classifier import SequenceClassifier
from lightning_models.vae import VAE
from tests import tiny_runs


@pytest.fixture
def slow_bfloat16(monkeypatch):
    monkeypatch.setattr(precision, "has_bfloat16", lambda accelerator: False)


@pytest.mark.parametrize(
    ("asked", "used"),
    [("bf16-mixed", "32-true"), ("bf16", "32-true"), ("32-true", "32-true"), ("16-mixed", "16-mixed"), (None, None)],
)
def test_float32_takes_the_place_of_imitated_bfloat16(slow_bfloat16, asked, used, capsys):
    assert usable_precision(asked, "auto") == used
    assert ("has no bfloat16 hardware" in capsys.readouterr().err) == (asked != used)


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
@pytest.mark.parametrize("model", [GAN, WGANGP, VAE, ImageClassifier])
def test_models_of_images_have_float32_weights(model, precision):
    expected = f"--trainer.precision {precision}: a {model.__name__} has float32 weights: use 32-true, bf16-mixed or 16"
    with pytest.raises(UserError, match=f"^{re.escape(expected)}"):
        check_precision(precision, model)


@pytest.mark.parametrize("precision", ["32-true", "32", 32, "bf16-mixed", "16-mixed", None])
def test_models_of_images_take_what_keeps_float32_weights(precision):
    check_precision(precision, GAN)


@pytest.mark.parametrize("model", [SequenceClassifier, CharLanguageModel])
def test_models_of_sequences_may_have_weights_of_16_bits(model):
    check_precision("bf16-true", model)


def test_a_precision_that_the_model_cannot_have_is_refused_before_a_folder_is_made(tmp_path, capsys):
    with pytest.raises(SystemExit, match=r"^2$"):
        cli.main([*tiny_runs.GAN, "--trainer.precision=64-true", f"--run_dir={tmp_path / 'run'}"])
    assert "--trainer.precision 64-true: a GAN has float32 weights" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_run_trains_in_the_usable_precision(slow_bfloat16, calls, tmp_path, capsys):
    cli.main([*tiny_runs.GAN, "--trainer.precision=bf16-mixed", f"--run_dir={tmp_path / 'run'}"])
    ((_, trainer, _),) = calls
    assert trainer.precision == "32-true"
    assert "float32 instead of --trainer.precision bf16-mixed" in capsys.readouterr().err


@pytest.mark.full
def test_a_run_says_what_it_computed_in(tmp_path):
    options = ["--data.length=5", "--trainer.max_steps=2", "--trainer.limit_val_batches=1", "--trainer.accelerator=cpu"]
    options += ["--trainer.precision=bf16-true", "--trainer.log_every_n_steps=1", "--quiet"]
    run = tmp_path / "run"
    cli.main(["fit", "--model=SequenceClassifier", "--data=Palindromes", *options, f"--run_dir={run}"])
    assert json.loads((run / "summary.json").read_text())["precision"] == "bf16-true"
