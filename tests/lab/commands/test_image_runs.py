"""The commands themselves, on the embedded digits."""

import csv
import json
import os
import shlex
import signal

import pytest
import torch
import yaml
from PIL import Image
from pytorch_lightning import Callback

import cli

TINY = [
    *("fit", "--model", "GAN", "--data", "Digits", "--model.latent_dim", "4", "--quiet"),
    *("--model.generator.width", "8", "--model.discriminator.width", "8", "--model.ema_decay", "0.9"),
    *("--trainer.accelerator", "cpu", "--trainer.limit_train_batches", "4", "--trainer.limit_val_batches", "1"),
    *("--trainer.log_every_n_steps", "2", "--samples.grid", "2"),
]


CLASSIFIER = [
    *("fit", "--model", "ImageClassifier", "--data", "Digits", "--quiet", "--trainer.accelerator", "cpu"),
    *("--trainer.limit_train_batches", "4", "--trainer.limit_val_batches", "1", "--trainer.log_every_n_steps", "1"),
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run of two epochs of four batches."""
    run_dir = tmp_path_factory.mktemp("runs") / "tiny"
    cli.main([*TINY, "--trainer.max_epochs", "2", "--run_dir", str(run_dir)])
    return run_dir


def read_csv(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def picture_size(path):
    with Image.open(path) as image:
        return image.size


def test_a_run_owns_one_folder(run):
    assert sorted(p.name for p in run.iterdir()) == [
        "checkpoints",
        "config.yaml",
        "metrics.csv",
        "parameters.csv",
        "samples",
        "summary.json",
    ]
    assert [p.name for p in (run / "checkpoints").iterdir()] == ["last.ckpt"]


def test_the_config_is_complete_and_can_be_used_again(run):
    text = (run / "config.yaml").read_text()
    assert "Unable to serialize" not in text
    config = yaml.safe_load(text)
    assert config["model"]["init_args"]["latent_dim"] == 4
    assert config["model"]["init_args"]["optimizer_g"]["init_args"]["betas"] == [0.5, 0.999]
    assert config["seed_everything"] == 0
    assert config["run_dir"] == str(run)


def test_metrics_and_summary(run):
    rows = read_csv(run / "metrics.csv")
    losses = [row for row in rows if row["train/d_loss"]]
    assert [int(row["step"]) for row in losses] == [1, 3, 5, 7]
    assert all(float(row["train/samples_per_second"]) > 0 for row in losses)
    assert [row["val/d_loss"] != "" for row in rows].count(True) == 2
    summary = json.loads((run / "summary.json").read_text())
    assert summary["batches"] == 8
    assert summary["metrics"]["train/d_loss"] == pytest.approx(float(losses[-1]["train/d_loss"]))
    assert summary["parameters"]["generator"] == summary["parameters"]["generator_ema"] > 0
    assert summary["seconds"] > 0


def test_pictures_at_the_start_half_way_at_each_epoch_and_at_the_end(run):
    samples = run / "samples"
    assert sorted(p.name for p in samples.iterdir()) == [
        "grid-0000000.png",
        "grid-0000004.png",
        "grid-0000008.png",
        "interpolation.png",
        "progress.png",
    ]
    assert picture_size(samples / "grid-0000000.png") == picture_size(samples / "grid-0000008.png")
    assert (samples / "grid-0000000.png").read_bytes() != (samples / "grid-0000008.png").read_bytes()
    width, height = picture_size(samples / "progress.png")
    assert width > 4 * height  # two rows of ten


def test_a_run_is_never_overwritten(run, capsys):
    before = {p: p.stat().st_mtime_ns for p in run.rglob("*")}
    with pytest.raises(SystemExit) as stopped:
        cli.main([*TINY, "--run_dir", str(run)])
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert f"{run} already holds a run" in error
    assert f"fit -c {run / 'config.yaml'} --ckpt_path {run / 'checkpoints' / 'last.ckpt'}" in error
    assert before == {p: p.stat().st_mtime_ns for p in run.rglob("*")}


def test_missing_data_leaves_no_folder_behind(tmp_path, capsys):
    mnist = ["fit", "--model", "GAN", "--data", "MNIST", "--data.root", str(tmp_path / "none"), "--quiet"]
    with pytest.raises(SystemExit) as stopped:
        cli.main([*mnist, "--data.download", "false", "--run_dir", str(tmp_path / "runs" / "mine")])
    assert stopped.value.code == 2
    assert "MNIST was not found: looked at" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_folder_with_other_files_is_no_run_folder(tmp_path, capsys):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(SystemExit):
        cli.main([*TINY, "--run_dir", str(tmp_path)])
    assert "holds other files: give a folder that is empty" in capsys.readouterr().err


@pytest.mark.parametrize(("limit", "two", "three"), [("max_epochs", "2", "3"), ("max_steps", "8", "12")])
def test_a_resumed_run_equals_one_that_never_stopped(tmp_path, limit, two, three):
    """Gone on with in the same folder after two of three epochs."""
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    noisy = [*TINY, "--model.input_noise", "0.1"]
    cli.main([*noisy, f"--trainer.{limit}", three, "--run_dir", str(straight)])
    cli.main([*noisy, f"--trainer.{limit}", two, "--run_dir", str(stopped)])
    last = stopped / "checkpoints" / "last.ckpt"
    assert torch.load(last, weights_only=True)["global_step"] == 8
    resume = ["fit", "-c", str(stopped / "config.yaml"), "--ckpt_path", str(last), f"--trainer.{limit}", three]
    cli.main(resume)

    def weights(run_dir):
        return torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]

    expected, found = weights(straight), weights(stopped)
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    steps = [int(row["step"]) for row in read_csv(stopped / "metrics.csv") if row["train/d_loss"]]
    assert steps == [1, 3, 5, 7, 9, 11]
    assert (straight / "samples" / "progress.png").read_bytes() == (stopped / "samples" / "progress.png").read_bytes()
    loops = [torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["loops"] for run in (straight, stopped)]
    assert len({str(kept["fit_loop"]["epoch_progress"]["total"]["processed"]) for kept in loops}) == 1


def test_a_run_with_nothing_left_to_train_keeps_its_results_and_says_how_to_go_on(tmp_path, capsys):
    run = tmp_path / "my run"
    cli.main([*CLASSIFIER, "--trainer.max_steps", "4", "--run_dir", str(run)])
    ended = json.loads((run / "summary.json").read_text())
    assert "val/accuracy" in ended["metrics"]
    words = ["fit", "-c", str(run / "config.yaml"), "--ckpt_path", str(run / "checkpoints" / "last.ckpt"), "--quiet"]
    capsys.readouterr()
    cli.main(words)
    told = capsys.readouterr().out
    assert json.loads((run / "summary.json").read_text()) == ended
    assert "Nothing was left to train" in told
    (go_on,) = [line for line in told.splitlines() if line.endswith("(go on)")]
    command = shlex.split(go_on.removesuffix("(go on)"))
    assert command[:2] == ["python", "cli.py"]
    cli.main([*command[2:], "--quiet"])
    assert json.loads((run / "summary.json").read_text())["batches"] == 8


def test_a_run_that_was_killed_before_its_summary_has_its_metrics_from_the_checkpoint(tmp_path):
    run = tmp_path / "run"
    cli.main([*CLASSIFIER, "--trainer.max_epochs", "1", "--run_dir", str(run)])
    ended = json.loads((run / "summary.json").read_text())
    (run / "summary.json").unlink()
    cli.main(["fit", "-c", str(run / "config.yaml"), "--ckpt_path", str(run / "checkpoints" / "last.ckpt")])
    found = json.loads((run / "summary.json").read_text())
    assert found["metrics"] == ended["metrics"]
    assert (found["batches"], found["epochs"]) == (ended["batches"], ended["epochs"])


@pytest.mark.parametrize("seed", ["-1", "4294967296"])
def test_a_seed_that_is_none_is_named(seed, capsys, in_tmp_path):
    with pytest.raises(SystemExit):
        cli.main([*CLASSIFIER, "--seed_everything", seed])
    assert f"--seed_everything is {seed}: use a whole number from 0 to 4294967295" in capsys.readouterr().err
    assert not list(in_tmp_path.iterdir())


def test_a_config_that_is_not_utf_8_is_named(capsys, in_tmp_path):
    (in_tmp_path / "mine.yaml").write_bytes("# für Latin-1\n".encode("latin-1"))
    with pytest.raises(SystemExit):
        cli.main(["fit", "-c", "mine.yaml"])
    assert "a config file is not UTF-8 (" in capsys.readouterr().err


def test_the_default_folder_is_named_after_the_experiment(in_tmp_path):
    cli.main([*TINY, "--trainer.max_epochs", "1"])
    cli.main([*TINY, "--trainer.max_epochs", "1"])
    runs = list((in_tmp_path / "runs" / "gan" / "digits").iterdir())
    assert len(runs) == 2
    assert all((run / "summary.json").exists() for run in runs)


@pytest.mark.parametrize("command", ["validate", "test"])
def test_evaluation_keeps_its_numbers_beside_the_run(run, command, capsys):
    before = (run / "metrics.csv").read_bytes()
    last = str(run / "checkpoints" / "last.ckpt")
    cli.main([command, "-c", str(run / "config.yaml"), "--ckpt_path", last, "--quality.network", "none"])
    prefix = {"validate": "val", "test": "test"}[command]
    metrics = json.loads((run / command / "summary.json").read_text())["metrics"]
    assert set(metrics) == {
        f"{prefix}/{n}" for n in ("d_loss", "g_loss", "d_accuracy_real", "d_accuracy_fake", "d_real", "d_fake")
    }
    assert (run / "metrics.csv").read_bytes() == before
    assert not list((run / command).rglob("*.ckpt"))


def test_predict_writes_a_row_for_each_image_in_order(run):
    last = run / "checkpoints" / "last.ckpt"
    cli.main(["predict", "-c", str(run / "config.yaml"), "--ckpt_path", str(last)])
    rows = read_csv(run / "predict" / "predictions.csv")
    assert [int(row["id"]) for row in rows] == list(range(360))  # a fifth of 1,797
    assert all(0 <= float(row["score"]) <= 1 for row in rows)


def test_sample_and_interpolate_repeat_with_the_seed(run, tmp_path, capsys):
    last = str(run / "checkpoints" / "last.ckpt")

    def picture(name, *args):
        cli.main([*args, "--ckpt_path", last, "--output", str(tmp_path / name)])
        return (tmp_path / name).read_bytes()

    assert picture("a.png", "sample", "--count", "9", "--seed", "3") == picture(
        "b.png", "sample", "--count", "9", "--seed", "3"
    )
    assert picture("c.png", "sample", "--count", "9", "--seed", "4") != (tmp_path / "a.png").read_bytes()
    assert picture("d.png", "interpolate", "--seed", "3") == picture("e.png", "interpolate", "--seed", "3")
    assert picture("f.png", "interpolate", "--seed", "3", "--mode", "linear") != (tmp_path / "d.png").read_bytes()
    width, height = picture_size(tmp_path / "d.png")
    assert 8 < width / height < 10  # nine images
    with pytest.raises(SystemExit):
        cli.main(["sample", "--ckpt_path", last, "--output", str(tmp_path / "a.png")])
    assert "exists: choose another --output, or give --overwrite" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--count", "0"], "--count is 0: expected at least 1"),
        (["--output", "no/such/folder.png"], "the folder of --output no/such/folder.png does not exist"),
        (["--output", "grid.txt"], "--output grid.txt: the name must end in"),
        (["--cuont", "3"], "unrecognized arguments: --cuont 3"),
    ],
)
def test_mistakes_in_sampling_are_named(run, options, message, capsys, in_tmp_path):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["sample", "--ckpt_path", str(run / "checkpoints" / "last.ckpt"), *options])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_checkpoints_that_cannot_be_used_are_named(run, tmp_path, capsys):
    last = run / "checkpoints" / "last.ckpt"
    (tmp_path / "cut.ckpt").write_bytes(last.read_bytes()[:5000])
    config = ["-c", str(run / "config.yaml"), "--ckpt_path"]
    for name in ("gan.Gone", "gone.GAN"):
        content = torch.load(last, weights_only=True) | {"model_class": f"lightning_models.{name}"}
        torch.save(content, tmp_path / f"{name}.ckpt")
    for args, message in [
        (["sample", "--ckpt_path", str(tmp_path / "gan.Gone.ckpt")], "which this version does not have"),
        (["sample", "--ckpt_path", str(tmp_path / "gone.GAN.ckpt")], "which this version does not have"),
        (["sample", "--ckpt_path", str(tmp_path / "cut.ckpt")], "cut.ckpt is no checkpoint, or is cut off"),
        (["sample", "--ckpt_path", str(run / "checkpoints" / "lats.ckpt")], "the folder holds " + str(last)),
        (["validate", "-c", str(run / "config.yaml")], "validate needs a checkpoint: --ckpt_path"),
        (["validate", *config, str(last), "--model", "WGAN"], "holds a GAN but a WGAN is asked for"),
        (["validate", *config, str(last), "--model.latent_dim", "5"], "does not fit this GAN: generator.layers"),
    ]:
        with pytest.raises(SystemExit) as stopped:
            cli.main(args)
        assert stopped.value.code == 2
        assert message in capsys.readouterr().err


class StopsAtBatch(Callback):
    """What a cluster does before it takes a machine away, at the first call of the hook from that batch on."""

    def __init__(self, batch: int, hook: str) -> None:
        self.batch = batch
        setattr(self, hook, self.stop)

    def stop(self, trainer, *args):
        if trainer.global_step >= self.batch and not trainer.received_sigterm:
            os.kill(os.getpid(), signal.SIGTERM)


# An epoch has four batches. SIGTERM comes in the middle of the second one, in its last batch, in one of its two
# validations, at its end.
@pytest.mark.parametrize(
    ("family", "batch", "hook"),
    [
        ("GAN", 5, "on_train_batch_start"),
        ("GAN", 7, "on_train_batch_start"),
        ("ImageClassifier", 4, "on_train_batch_start"),
        ("ImageClassifier", 5, "on_validation_batch_end"),
        ("ImageClassifier", 6, "on_validation_end"),
        ("ImageClassifier", 7, "on_train_batch_start"),
        ("ImageClassifier", 8, "on_validation_start"),
        ("ImageClassifier", 8, "on_validation_end"),
        ("ImageClassifier", 8, "on_train_epoch_end"),
    ],
)
def test_sigterm_keeps_the_batch_and_the_run_goes_on_exactly(family, batch, hook, tmp_path, capsys):
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    options = TINY if family == "GAN" else [*CLASSIFIER]
    options = [*options, "--trainer.max_epochs", "3", "--trainer.limit_val_batches", "3"]
    options += ["--trainer.val_check_interval", "2"]
    cli.main([*options, "--run_dir", str(straight)])
    stops = [
        "--trainer.callbacks+=tests.lab.commands.test_image_runs.StopsAtBatch",
        f"--trainer.callbacks.batch={batch}",
    ]
    stops += [f"--trainer.callbacks.hook={hook}"]
    with pytest.raises(SystemExit) as status:
        cli.main([*options, "--run_dir", str(stopped), *stops])
    assert status.value.code == 143
    last = stopped / "checkpoints" / "last.ckpt"
    goes_on = f"python cli.py fit -c {stopped / 'config.yaml'} --ckpt_path {last}"
    assert f"stopped by SIGTERM; this goes on from its last checkpoint:\n  {goes_on}" in capsys.readouterr().err
    done = batch + (hook == "on_train_batch_start") + (hook == "on_validation_batch_end")  # the batch is finished
    assert torch.load(last, weights_only=True)["global_step"] == done
    cli.main([*options, "--run_dir", str(stopped), "--ckpt_path", str(last)])
    expected, found = (
        torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"] for run in (straight, stopped)
    )
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    rows = [
        [{k: v for k, v in row.items() if "samples_per" not in k} for row in read_csv(run / "metrics.csv")]
        for run in (straight, stopped)
    ]
    assert rows[0] == rows[1]
