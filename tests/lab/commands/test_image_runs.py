"""The commands themselves, on the embedded digits."""

import csv
import json

import pytest
import torch
import yaml
from PIL import Image

import cli
from datamodules.images import Digits
from lab.training.checkpoints import load_model
from tests import tiny_runs
from tests.tiny_runs import copied, resumed


def read_csv(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def picture_size(path):
    with Image.open(path) as image:
        return image.size


@torch.no_grad()
def scores(run, images):
    """D(x) of uint8 images by the last checkpoint of a GAN's run."""
    discriminator = load_model(str(run / "checkpoints" / "last.ckpt")).discriminator
    return discriminator(images / 127.5 - 1).sigmoid().flatten()


def test_a_run_owns_one_folder(gan_run):
    assert sorted(p.name for p in gan_run.iterdir()) == [
        "checkpoints",
        "config.yaml",
        "metrics.csv",
        "parameters.csv",
        "samples",
        "summary.json",
    ]
    assert sorted(p.name for p in (gan_run / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]


def test_the_config_is_complete_and_can_be_used_again(gan_run):
    text = (gan_run / "config.yaml").read_text()
    assert "Unable to serialize" not in text
    config = yaml.safe_load(text)
    assert config["model"]["init_args"]["latent_dim"] == 4
    assert config["model"]["init_args"]["optimizer_g"]["init_args"]["betas"] == [0.5, 0.999]
    assert config["seed_everything"] == 0
    assert config["run_dir"] == str(gan_run)


def test_metrics_and_summary(gan_run):
    rows = read_csv(gan_run / "metrics.csv")
    losses = [row for row in rows if row["train/d_loss"]]
    assert [int(row["step"]) for row in losses] == [1, 3, 5, 7]
    assert all(float(row["train/samples_per_second"]) > 0 for row in losses)
    assert [int(row["step"]) for row in rows if row["val/d_loss"]] == [1, 3, 5, 7]
    summary = json.loads((gan_run / "summary.json").read_text())
    assert summary["batches"] == 8
    assert summary["metrics"]["train/d_loss"] == pytest.approx(float(losses[-1]["train/d_loss"]))
    assert summary["parameters"]["generator"] == summary["parameters"]["generator_ema"] > 0
    assert summary["seconds"] > 0


def test_pictures_at_the_start_half_way_at_each_epoch_and_at_the_end(gan_run):
    samples = gan_run / "samples"
    assert sorted(p.name for p in samples.iterdir()) == [
        "grid-0000000.png",
        "grid-0000004.png",
        "grid-0000008.png",
        "interpolation.png",
        "progress.gif",
        "progress.png",
    ]
    with Image.open(samples / "progress.gif") as animation:
        assert animation.n_frames == 2  # a row of ten for each epoch
        assert animation.width > 4 * animation.height
    assert picture_size(samples / "grid-0000000.png") == picture_size(samples / "grid-0000008.png")
    assert (samples / "grid-0000000.png").read_bytes() != (samples / "grid-0000008.png").read_bytes()
    width, height = picture_size(samples / "progress.png")
    assert width > 4 * height  # two rows of ten


def test_a_run_is_never_overwritten(gan_run, capsys):
    before = {p: p.stat().st_mtime_ns for p in gan_run.rglob("*")}
    with pytest.raises(SystemExit) as stopped:
        cli.main([*tiny_runs.GAN, "--run_dir", str(gan_run)])
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert f"{gan_run} already holds a run" in error
    assert f"fit -c {gan_run / 'config.yaml'} --ckpt_path {gan_run / 'checkpoints' / 'last.ckpt'}" in error
    assert before == {p: p.stat().st_mtime_ns for p in gan_run.rglob("*")}


def test_missing_data_leaves_no_folder_behind(tmp_path, capsys):
    mnist = ["fit", "--model", "GAN", "--data", "MNIST", "--data.root", str(tmp_path / "none"), "--quiet"]
    with pytest.raises(SystemExit) as stopped:
        cli.main([*mnist, "--data.download", "false", "--run_dir", str(tmp_path / "runs" / "mine")])
    assert stopped.value.code == 2
    assert "MNIST was not found: looked at" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_folder_with_other_files_is_no_run_folder(tmp_path, capsys):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(SystemExit, match=r"^2$"):
        cli.main([*tiny_runs.GAN, "--run_dir", str(tmp_path)])
    assert "holds other files: give a folder that is empty" in capsys.readouterr().err


@pytest.mark.parametrize("seed", ["-1", "4294967296"])
def test_a_seed_that_is_none_is_named(seed, capsys, in_tmp_path):
    with pytest.raises(SystemExit, match=r"^2$"):
        cli.main([*tiny_runs.CLASSIFIER, "--seed_everything", seed])
    assert f"--seed_everything is {seed}: use a whole number from 0 to 4294967295" in capsys.readouterr().err
    assert not list(in_tmp_path.iterdir())


def test_a_config_that_is_not_utf_8_is_named(capsys, in_tmp_path):
    (in_tmp_path / "mine.yaml").write_bytes("# für Latin-1\n".encode("latin-1"))
    with pytest.raises(SystemExit, match=r"^2$"):
        cli.main(["fit", "-c", "mine.yaml"])
    assert "is not UTF-8 (" in capsys.readouterr().err


@pytest.mark.full
def test_two_runs_of_one_experiment_have_folders_of_their_own(in_tmp_path):
    for _ in range(2):
        cli.main([*tiny_runs.GAN, "--trainer.max_epochs", "1"])
    runs = list((in_tmp_path / "runs" / "gan" / "digits").iterdir())
    assert len(runs) == 2
    assert all((run / "summary.json").exists() for run in runs)


@pytest.mark.parametrize(("command", "prefix"), [("validate", "val"), ("test", "test")])
def test_evaluation_keeps_its_numbers_beside_the_run(gan_run, command, prefix, tmp_path):
    run = copied(gan_run, tmp_path / "run")
    before = (run / "metrics.csv").read_bytes()
    cli.main([command, *resumed(run), "--quality.network", "none"])
    metrics = json.loads((run / command / "summary.json").read_text())["metrics"]
    names = ("d_loss", "g_loss", "d_accuracy_real", "d_accuracy_fake", "d_real", "d_fake")
    assert set(metrics) == {f"{prefix}/{name}" for name in names}
    assert (run / "metrics.csv").read_bytes() == before
    assert not list((run / command).rglob("*.ckpt"))
    data = Digits()
    data.setup(command)
    # The run's config validates on three batches; its test takes all images.
    images = data.val_images[: 3 * data.batch_size] if command == "validate" else data.test_images
    assert metrics[f"{prefix}/d_real"] == pytest.approx(scores(run, images).mean().item(), abs=1e-5)


def test_predict_writes_a_row_for_each_test_image_in_order(gan_run, tmp_path):
    cli.main(["predict", *resumed(gan_run), "--run_dir", str(tmp_path), "--quiet"])
    rows = read_csv(tmp_path / "predict" / "predictions.csv")
    assert [int(row["id"]) for row in rows] == list(range(360))  # a fifth of 1,797
    data = Digits()
    data.setup("predict")
    expected = scores(gan_run, data.test_images)
    assert [float(row["score"]) for row in rows] == pytest.approx(expected.tolist(), abs=1e-5)


def test_last_ckpt_is_written_after_epochs_without_a_validation_too(tmp_path):
    short = ["--trainer.max_epochs", "1", "--trainer.limit_train_batches", "1", "--trainer.log_every_n_steps", "1"]
    rare = ["--trainer.val_check_interval", "1.0", "--trainer.check_val_every_n_epoch", "2"]
    cli.main([*tiny_runs.GAN, *short, *rare, "--run_dir", str(tmp_path)])
    assert torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 1
