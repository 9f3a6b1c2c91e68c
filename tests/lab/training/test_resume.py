"""Runs that were stopped or ended, resumed in the same folder."""

import csv
import json
import shlex

import pytest
import torch

import cli
from tests import tiny_runs
from tests.stopping_callbacks import ctrl_c, sigterm
from tests.tiny_runs import copied, resumed


def metrics_of(run):
    """The rows of metrics.csv without the measured speed."""
    with (run / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{name: value for name, value in row.items() if "per_second" not in name} for row in rows]


def assert_same(straight, stopped):
    """The same weights, to the bit, loop counters, metrics and pictures in both runs.

    A run that was shorter at first may have other pictures in between, from the middle of that part.
    """
    expected, found = (torch.load(run / "checkpoints" / "last.ckpt", weights_only=True) for run in (straight, stopped))
    assert expected["state_dict"].keys() == found["state_dict"].keys()
    assert all(torch.equal(weight, found["state_dict"][name]) for name, weight in expected["state_dict"].items())
    assert str(expected["optimizer_states"]) == str(found["optimizer_states"])
    epochs = [kept["loops"]["fit_loop"]["epoch_progress"]["total"]["processed"] for kept in (expected, found)]
    assert epochs[0] == epochs[1]
    assert metrics_of(straight) == metrics_of(stopped)
    pictures = [{path.name: path.read_bytes() for path in (run / "samples").iterdir()} for run in (straight, stopped)]
    assert not [name for name in pictures[0].keys() & pictures[1] if pictures[0][name] != pictures[1][name]]
    assert {name for name in pictures[0] if "-" not in name} <= pictures[1].keys()


def test_a_resumed_run_equals_one_that_never_stopped(gan_run, tmp_path):
    run = tmp_path / "run"
    cli.main([*tiny_runs.GAN, "--trainer.max_epochs", "1", "--run_dir", str(run)])
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 4
    cli.main(["fit", *resumed(run), "--trainer.max_epochs", "2"])
    assert_same(gan_run, run)


@pytest.mark.full
def test_a_run_of_so_many_steps_equals_one_that_never_stopped(tmp_path):
    """The samples of the first part's end are not measured: the other run has no such row."""
    straight, run = tmp_path / "straight", tmp_path / "run"
    gan = [*tiny_runs.GAN, "--quality.network", "none"]
    cli.main([*gan, "--trainer.max_steps", "12", "--run_dir", str(straight)])
    cli.main([*gan, "--trainer.max_steps", "8", "--run_dir", str(run)])
    cli.main(["fit", *resumed(run), "--trainer.max_steps", "12"])
    assert_same(straight, run)


def stop_and_resume(options, straight, run, batch, hook, capsys):
    """SIGTERM at the first call of `hook` from that batch on; the resumed run ends as `straight` did."""
    with pytest.raises(SystemExit) as status:
        cli.main([*options, "--run_dir", str(run), *sigterm(batch, hook)])
    assert status.value.code == 143
    command = f"python cli.py {shlex.join(['fit', *resumed(run)])}"
    assert capsys.readouterr().err.endswith(f"stopped by SIGTERM; to resume from the last checkpoint:\n  {command}\n")
    done = batch + (hook in ("on_train_batch_start", "on_validation_batch_end"))  # the batch is finished
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == done
    cli.main([*options, *resumed(run)[2:], "--run_dir", str(run)])
    assert_same(straight, run)


# An epoch has four batches and a validation after every second one.


@pytest.mark.parametrize(
    ("batch", "hook"),
    [
        (5, "on_train_batch_start"),  # in the middle of an epoch
        (5, "on_validation_batch_end"),  # in the middle of a validation
        pytest.param(3, "on_train_batch_start", marks=pytest.mark.full),  # in the last batch of an epoch
    ],
)
def test_sigterm_keeps_the_batch_of_a_gan(gan_run, tmp_path, capsys, batch, hook):
    stop_and_resume([*tiny_runs.GAN, "--trainer.max_epochs", "2"], gan_run, tmp_path / "run", batch, hook, capsys)


CLASSIFIER = [
    *(*tiny_runs.CLASSIFIER, "--trainer.max_epochs", "3"),
    *("--trainer.limit_val_batches", "3", "--trainer.val_check_interval", "2"),
]


@pytest.fixture(scope="module")
def straight_classifier(tmp_path_factory):
    run = tmp_path_factory.mktemp("classifier") / "straight"
    cli.main([*CLASSIFIER, "--run_dir", str(run)])
    return run


@pytest.mark.full
@pytest.mark.parametrize(
    ("batch", "hook"),
    [
        (4, "on_train_batch_start"),
        (5, "on_validation_batch_end"),
        (6, "on_validation_end"),
        (7, "on_train_batch_start"),
        (8, "on_validation_start"),
        (8, "on_validation_end"),
        (8, "on_train_epoch_end"),
    ],
)
def test_sigterm_keeps_the_batch_of_a_classifier(straight_classifier, tmp_path, capsys, batch, hook):
    stop_and_resume(CLASSIFIER, straight_classifier, tmp_path / "run", batch, hook, capsys)


def test_a_run_with_nothing_left_to_train_keeps_its_results_and_prints_the_command_that_trains_longer(
    classifier_run, tmp_path, capsys
):
    run = copied(classifier_run, tmp_path / "my run")
    ended = json.loads((run / "summary.json").read_text())
    assert "val/accuracy" in ended["metrics"]
    cli.main(["fit", *resumed(run), "--quiet"])
    printed = capsys.readouterr().out
    assert json.loads((run / "summary.json").read_text()) == ended
    assert "Nothing was left to train" in printed
    (line,) = [line for line in printed.splitlines() if line.endswith("(resume)")]
    command = shlex.split(line.removesuffix("(resume)"))
    assert command[:2] == ["python", "cli.py"]
    assert command[2:] == ["fit", *resumed(run), "--trainer.max_epochs", "4"]


def test_a_run_that_was_killed_before_its_summary_has_its_metrics_from_the_checkpoint(classifier_run, tmp_path):
    run = copied(classifier_run, tmp_path / "run")
    ended = json.loads((run / "summary.json").read_text())
    (run / "summary.json").unlink()
    cli.main(["fit", *resumed(run)])
    found = json.loads((run / "summary.json").read_text())
    assert found["metrics"] == ended["metrics"]
    assert (found["batches"], found["epochs"]) == (ended["batches"], ended["epochs"]) == (8, 2)


def test_ctrl_c_prints_the_command_that_resumes(classifier_run, tmp_path, capsys):
    run = copied(classifier_run, tmp_path / "my run")
    longer = [*resumed(run), "--trainer.max_epochs", "4"]
    with pytest.raises(SystemExit) as status:
        cli.main(["fit", *longer, *ctrl_c(9)])
    assert status.value.code == 130
    command = shlex.join(["fit", "-c", str(run / "config-resumed.yaml"), *resumed(run)[2:]])
    expected = f"interrupted; to resume from the last checkpoint:\n  python cli.py {command}\n"
    assert capsys.readouterr().err.endswith(expected)
    kept = [(run / name).read_text() for name in ("config.yaml", "config-resumed.yaml")]
    assert ["max_epochs: 2" in kept[0], "max_epochs: 4" in kept[1]] == [True, True]


def test_ctrl_c_before_the_first_checkpoint(tmp_path, capsys):
    with pytest.raises(SystemExit) as status:
        cli.main([*tiny_runs.GAN, "--run_dir", str(tmp_path / "run"), *ctrl_c(1)])
    assert status.value.code == 130
    assert capsys.readouterr().err.endswith("interrupted; there is no checkpoint yet to resume from\n")
