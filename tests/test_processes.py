"""Two processes learn what one process learns from the same global batches."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from pytorch_lightning import Callback

ROOT = Path(__file__).parents[1]

# BatchNorm is left out: its statistics are each process's own, as everywhere (--trainer.sync_batchnorm true).
ADVERSARIAL = [
    *("--model.generator.normalization", "none", "--model.discriminator.normalization", "none"),
    *("--model.n_critic", "2", "--model.input_noise", "0.1", "--model.ema_decay", "0.9"),
]
VARIATIONAL = [
    *("--model.encoder.normalization", "none", "--model.decoder.normalization", "none"),
    *("--model.likelihood", "BinarizedBernoulli", "--data.value_range", "[0.0, 1.0]"),
]
LANGUAGE = ["--model.network.hidden_dim", "16", "--data.chunk_length", "16", "--texts.length", "20"]
RECURRENT = [
    *("--model.network.cell", "gru", "--model.network.hidden_size", "16", "--model.network.embedding_dim", "8"),
    *("--model.class_balance", "0.5"),
]
OPTIONS = {
    "GAN": ADVERSARIAL,
    "WGANGP": ADVERSARIAL,
    "VAE": VARIATIONAL,
    "ImageClassifier": ["--model.l2", "1e-4"],
    "CharLanguageModel": LANGUAGE,
    "SequenceClassifier": RECURRENT,
}
SAME_NUMBERS = {
    "GAN": ("val/d_loss", "val/g_loss", "val/d_real", "val/d_fake"),  # of fakes that are those of the global batch too
    "VAE": ("val/elbo", "val/kl", "val/active_units"),  # its noise in validation is that of the global batch too
    "ImageClassifier": ("train/loss", "train/accuracy", "val/loss", "val/accuracy", "val/accuracy_3"),
    "CharLanguageModel": ("train/nats_per_char", "val/nats_per_char", "val/bits_per_char", "val/perplexity"),
    "SequenceClassifier": ("train/loss", "val/loss", "val/balanced_accuracy", "val/accuracy_length_5_to_9"),
}


def fit(run_dir, devices, batch_size, variant, *options):
    run(run_dir, devices, batch_size, variant, *options).check_returncode()
    return torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)


def run(run_dir, devices, batch_size, variant, *options):
    data = {"CharLanguageModel": "Text", "SequenceClassifier": "Names"}.get(variant, "Digits")
    args = ["fit", "--model", variant, "--data", data, "--quiet", "--run_dir", str(run_dir)]
    args += ["--trainer.accelerator", "cpu", "--trainer.devices", str(devices), "--data.batch_size", str(batch_size)]
    args += ["--trainer.max_epochs", "2", "--trainer.limit_train_batches", "6", *OPTIONS[variant]]
    if variant in ("GAN", "WGANGP", "VAE"):
        args += ["--model.latent_dim", "8"]
    command = [sys.executable, "cli.py", *args, *options]
    return subprocess.run(command, cwd=ROOT, timeout=180, capture_output=True, text=True)


@pytest.mark.slow
@pytest.mark.parametrize("variant", list(OPTIONS))
def test_two_processes_equal_one(tmp_path, variant):
    one = fit(tmp_path / "one", devices=1, batch_size=32, variant=variant)
    two = fit(tmp_path / "two", devices=2, batch_size=16, variant=variant)
    assert one["global_step"] == two["global_step"] == 12
    for name, weight in one["state_dict"].items():
        assert torch.allclose(weight, two["state_dict"][name], atol=1e-5), name  # Adam moves 1e-4 to 1e-3 a step
    if variant == "CharLanguageModel":  # the state of all streams, in their order
        for part, expected in zip(two["carried_state"], one["carried_state"], strict=True):
            assert part.shape == expected.shape == (1, 32, 16)
            assert torch.allclose(part, expected, atol=1e-5)
    one, two = (json.loads((tmp_path / run / "summary.json").read_text())["metrics"] for run in ("one", "two"))
    for name in SAME_NUMBERS.get(variant, ()):
        assert two[name] == pytest.approx(one[name], rel=1e-4), name


class Saver(Callback):
    """Writes the checkpoint `path` after the third batch."""

    def __init__(self, path: str) -> None:
        self.path = path

    def on_train_batch_end(self, trainer, *args):
        if trainer.global_step == 3:
            trainer.save_checkpoint(self.path)


@pytest.mark.slow
def test_means_of_an_epoch_survive_a_resume_of_two_processes_in_its_middle(tmp_path):
    middle = tmp_path / "middle.ckpt"
    save = ["--trainer.callbacks+=tests.test_processes.Saver", f"--trainer.callbacks.path={middle}"]
    for name, options in (("straight", save), ("resumed", ["--ckpt_path", str(middle)])):
        fit(tmp_path / name, 2, 16, "ImageClassifier", "--trainer.max_epochs", "1", *options)
    straight, resumed = (
        json.loads((tmp_path / name / "summary.json").read_text())["metrics"] for name in ("straight", "resumed")
    )
    for name in ("train/loss", "train/accuracy"):
        assert resumed[name] == pytest.approx(straight[name], rel=1e-6), name


class Winner(Callback):
    """D's accuracies are 1 in the process `rank`, and half that in others."""

    def __init__(self, rank: int) -> None:
        self.rank = rank

    def on_train_batch_end(self, trainer, pl_module, *args):
        accuracy = 1.0 if trainer.global_rank == self.rank else 0.5
        pl_module.log_dict({"train/d_accuracy_real": accuracy, "train/d_accuracy_fake": accuracy})


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_processes_that_measure_different_numbers_stop_together_or_go_on_together(tmp_path, rank):
    winner = ["--trainer.callbacks+=tests.test_processes.Winner", f"--trainer.callbacks.rank={rank}"]
    looks = ["--alarms.every_n_batches", "1", "--alarms.on_alarm", "stop", "--trainer.log_every_n_steps", "1"]
    length = ["--trainer.limit_train_batches", "20", "--trainer.max_epochs", "1", "--trainer.limit_val_batches", "0"]
    found = run(tmp_path / "run", 2, 16, "GAN", *length, *looks, *winner)
    if rank == 0:
        assert found.returncode == 2, found.stderr
        assert found.stderr.count("error: the run was stopped at batch 15 by an alarm, convergence_failure") == 1
        (alarm,) = json.loads((tmp_path / "run" / "alarms.json").read_text())
        assert (alarm["name"], alarm["batch"]) == ("convergence_failure", 15)
    else:
        assert found.returncode == 0, found.stderr
        assert not (tmp_path / "run" / "alarms.json").exists()
