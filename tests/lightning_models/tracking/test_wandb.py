"""What a run logs to an offline W&B run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lightning_models.tracking.wandb_runs import WandbOptions, has_api_key, make_loggers

ROOT = Path(__file__).parents[3]


def test_wandb_gets_no_deprecated_argument(tmp_path):
    _, logger = make_loggers(tmp_path / "run", WandbOptions(mode="offline", group="study"), {})
    given = logger._wandb_init
    assert "anonymous" not in given
    assert (given["name"], given["group"], given["project"]) == ("run", "study", "lightning-models")


def test_wandb_is_offline_without_a_key_and_obeys_its_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    assert not has_api_key()
    assert WandbOptions().resolved_mode() == "offline"
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    assert WandbOptions().resolved_mode() == "online"
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert WandbOptions().resolved_mode() == "disabled"
    assert WandbOptions(mode="offline").resolved_mode() == "offline"


@pytest.mark.slow
def test_an_offline_run_holds_losses_images_and_the_config(tmp_path):
    run_dir = tmp_path / "run"
    args = ["fit", "--model", "GAN", "--data", "Digits", "--quiet", "--run_dir", str(run_dir)]
    args += ["--wandb.mode", "offline", "--trainer.accelerator", "cpu", "--trainer.max_epochs", "2"]
    args += ["--trainer.limit_train_batches", "4", "--trainer.log_every_n_steps", "2", "--model.latent_dim", "7"]
    finished = subprocess.run([sys.executable, "cli.py", *args], cwd=ROOT, capture_output=True, text=True, check=True)
    (folder,) = (run_dir / "wandb").glob("offline-run-*")
    assert f"wandb sync {folder}" in finished.stdout

    (log,) = folder.glob("*.wandb")
    wandb = Path(sys.executable).parent / "wandb"
    inspect = [str(wandb), "leet", "inspect", "--json", str(log)]
    text = subprocess.run(inspect, capture_output=True, text=True, check=True).stdout
    records = [json.loads(line) for line in text.splitlines()]
    assert len(records) > 8
    for expected in ("train/d_loss", "train/g_loss", "val/d_loss", "samples/grid", "samples/progress", "latent_dim"):
        assert expected in text
    images = list((folder / "files" / "media" / "images" / "samples").glob("*.png"))
    assert len([image for image in images if image.name.startswith("grid")]) == 3  # start, half-way, end


@pytest.mark.slow
def test_an_offline_run_holds_the_texts_of_a_language_model_as_a_table(tmp_path):
    run_dir = tmp_path / "run"
    args = ["fit", "--model", "CharLanguageModel", "--data", "Text", "--quiet", "--run_dir", str(run_dir)]
    args += ["--wandb.mode", "offline", "--trainer.accelerator", "cpu", "--trainer.max_epochs", "2"]
    args += ["--trainer.limit_train_batches", "4", "--trainer.log_every_n_steps", "2", "--texts.length", "50"]
    subprocess.run([sys.executable, "cli.py", *args], cwd=ROOT, capture_output=True, text=True, check=True)
    tables = run_dir.glob("wandb/offline-run-*/files/media/table/samples/texts_*.table.json")
    longest = max((json.loads(path.read_text()) for path in tables), key=lambda table: len(table["data"]))
    assert longest["columns"] == ["batches", "text"]
    assert [batches for batches, _ in longest["data"]] == ["0", "4", "8"]
    written = sorted((run_dir / "samples").glob("text-*.txt"))
    assert [text for _, text in longest["data"]] == [path.read_text() for path in written]
