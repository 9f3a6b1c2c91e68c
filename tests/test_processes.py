"""Two processes learn what one process learns from the same global batches."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]

# BatchNorm is left out: its statistics are each process's own, as everywhere (--trainer.sync_batchnorm true).
ADVERSARIAL = [
    *("--model.generator.normalization", "none", "--model.discriminator.normalization", "none"),
    *("--model.n_critic", "2", "--model.input_noise", "0.0", "--model.ema_decay", "0.9"),
]
VARIATIONAL = [
    *("--model.encoder.normalization", "none", "--model.decoder.normalization", "none"),
    *("--model.likelihood", "BinarizedBernoulli", "--data.value_range", "[0.0, 1.0]"),
]
OPTIONS = {"GAN": ADVERSARIAL, "WGANGP": ADVERSARIAL, "VAE": VARIATIONAL, "ImageClassifier": ["--model.l2", "1e-4"]}
SAME_NUMBERS = {
    "VAE": ("val/elbo", "val/kl", "val/active_units"),  # its noise in validation is that of the global batch too
    "ImageClassifier": ("train/loss", "train/accuracy", "val/loss", "val/accuracy", "val/accuracy_3"),
}


def fit(run_dir, devices, batch_size, variant):
    args = ["fit", "--model", variant, "--data", "Digits", "--quiet", "--run_dir", str(run_dir)]
    args += ["--trainer.accelerator", "cpu", "--trainer.devices", str(devices), "--data.batch_size", str(batch_size)]
    args += ["--trainer.max_epochs", "2", "--trainer.limit_train_batches", "6", *OPTIONS[variant]]
    if variant != "ImageClassifier":
        args += ["--model.latent_dim", "8"]
    subprocess.run([sys.executable, "cli.py", *args], cwd=ROOT, check=True, timeout=180, capture_output=True)
    return torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)


@pytest.mark.slow
@pytest.mark.parametrize("variant", list(OPTIONS))
def test_two_processes_equal_one(tmp_path, variant):
    one = fit(tmp_path / "one", devices=1, batch_size=32, variant=variant)
    two = fit(tmp_path / "two", devices=2, batch_size=16, variant=variant)
    assert one["global_step"] == two["global_step"] == 12
    for name, weight in one["state_dict"].items():
        assert torch.allclose(weight, two["state_dict"][name], atol=1e-5), name  # Adam moves 1e-4 to 1e-3 a step
    one, two = (json.loads((tmp_path / run / "summary.json").read_text())["metrics"] for run in ("one", "two"))
    for name in SAME_NUMBERS.get(variant, ()):
        assert two[name] == pytest.approx(one[name], rel=1e-4), name
