"""The VAE on the command line: fit, test, predict, sample, interpolate, and mistakes."""

import csv
import json

import pytest

import cli

TINY = [
    *("fit", "--model", "VAE", "--data", "Digits", "--model.latent_dim", "2", "--quiet"),
    *("--model.encoder.width", "8", "--model.decoder.width", "8", "--model.importance_samples", "3"),
    *("--trainer.accelerator", "cpu", "--trainer.limit_train_batches", "2", "--trainer.max_epochs", "1"),
    *("--trainer.log_every_n_steps", "2", "--samples.grid", "2"),
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("runs") / "vae"
    cli.main([*TINY, "--data.value_range", "[0.0, 1.0]", "--run_dir", str(run_dir)])
    return run_dir


def summary(folder):
    return json.loads((folder / "summary.json").read_text())["metrics"]


def test_a_run_keeps_the_best_model_and_all_pictures(run):
    assert {path.name for path in (run / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    pictures = {path.stem for path in (run / "samples").iterdir()}
    assert pictures >= {"interpolation", "reconstructions", "between_images", "traversals", "manifold"}
    metrics = summary(run)
    assert metrics["val/elbo"] == pytest.approx(-metrics["val/reconstruction"] - metrics["val/kl"], rel=1e-5)
    assert metrics["val/kl"] > 0
    assert 0 <= metrics["val/active_units"] <= 2


def test_every_command_takes_its_checkpoint(run, tmp_path):
    checkpoint = ["--ckpt_path", str(run / "checkpoints" / "best.ckpt")]
    cli.main(["test", "-c", str(run / "config.yaml"), *checkpoint])
    assert summary(run / "test")["test/importance_weighted_bound"] > summary(run / "test")["test/elbo"]
    cli.main(["predict", "-c", str(run / "config.yaml"), *checkpoint])
    with (run / "predict" / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 360
    assert all(float(row["elbo"]) < 0 < float(row["kl"]) for row in rows)
    for command in ("sample", "interpolate"):
        cli.main([command, *checkpoint, "--output", str(tmp_path / f"{command}.png")])
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
        cli.main([*TINY, *options])
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (in_tmp_path / "runs").exists()


def test_images_of_another_size_than_the_checkpoints_are_named(run, capsys):
    other_size = ["--data.image_size", "16", "--ckpt_path", str(run / "checkpoints" / "last.ckpt")]
    with pytest.raises(SystemExit) as stopped:
        cli.main(["validate", "-c", str(run / "config.yaml"), *other_size])
    assert stopped.value.code == 2
    assert "does not fit this VAE" in capsys.readouterr().err
