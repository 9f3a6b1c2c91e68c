"""The VAE on the command line: fit, test, predict, sample, interpolate, and mistakes."""

import csv
import json

import pytest
import torch

import cli
from tests import tiny_runs
from tests.tiny_runs import checkpoint_of, copied, resumed


def summary(folder):
    return json.loads((folder / "summary.json").read_text())["metrics"]


def test_a_run_keeps_the_best_model_and_all_pictures(vae_run):
    assert {path.name for path in (vae_run / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    pictures = {path.stem for path in (vae_run / "samples").iterdir()}
    assert pictures >= {"interpolation", "reconstructions", "between_images", "traversals", "manifold"}
    metrics = summary(vae_run)
    assert metrics["val/elbo"] == pytest.approx(-metrics["val/reconstruction"] - metrics["val/kl"], rel=1e-5)
    assert metrics["val/kl"] > 0
    assert 0 <= metrics["val/active_units"] <= 2


def test_the_best_checkpoint_is_that_of_the_highest_elbo(tmp_path):
    """Of a run that gets worse: its first validation stays the best one."""
    worse = ["--data.value_range", "[0.0, 1.0]", "--model.optimizer.maximize", "true", "--trainer.max_epochs", "2"]
    cli.main([*tiny_runs.VAE, *worse, "--samples.every_n_epochs", "0", "--run_dir", str(tmp_path)])
    with (tmp_path / "metrics.csv").open() as file:
        elbos = [float(row["val/elbo"]) for row in csv.DictReader(file) if row["val/elbo"]]
    assert elbos[1] < elbos[0]
    best, last = (
        torch.load(tmp_path / "checkpoints" / name, weights_only=True)["epoch"] for name in ("best.ckpt", "last.ckpt")
    )
    assert (best, last) == (0, 1)


def test_every_command_takes_its_checkpoint(vae_run, tmp_path):
    run = copied(vae_run, tmp_path / "run")
    cli.main(["test", *resumed(run, "best")])
    metrics = summary(run / "test")
    assert metrics["test/importance_weighted_bound"] > metrics["test/elbo"]
    cli.main(["predict", *resumed(run, "best")])
    with (run / "predict" / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 360
    assert all(float(row["elbo"]) < 0 < float(row["kl"]) for row in rows)
    assert sum(float(row["elbo"]) for row in rows) / 360 == pytest.approx(metrics["test/elbo"], rel=1e-4)
    for command in ("sample", "interpolate"):
        cli.main([command, *checkpoint_of(run, "best"), "--output", str(tmp_path / f"{command}.png")])
        assert (tmp_path / f"{command}.png").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "takes pixels in [0.0, 1.0] but the data's are in [-1.0, 1.0]: set data.value_range to [0.0, 1.0]"),
        (["--model.beta", "-1"], "model.beta is -1.0: expected at least 0"),
        (["--model.latent_dim", "0"], "model.latent_dim is 0: expected at least 1"),
        (["--model.likelihood", "Bernouli"], "did you mean Bernoulli"),
    ],
)
def test_mistakes_end_in_one_line(options, message, in_tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main([*tiny_runs.VAE, *options])
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (in_tmp_path / "runs").exists()


def test_images_of_another_size_than_the_checkpoints_are_named(vae_run, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["validate", *resumed(vae_run), "--data.image_size", "16"])
    assert stopped.value.code == 2
    assert "does not fit this VAE" in capsys.readouterr().err
