"""Where a training begins with --resume: at the last checkpoint, anew, or not at all."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml

import cli
from lab.errors import UserError
from lab.stops import Stops
from lab.training.run_lock import RunLock
from lab.training.start import Start, check_options, resumed_start, settle
from tests import tiny_runs
from tests.tiny_runs import copied

LIMITS = {"max_epochs": 4, "max_steps": -1, "max_time": None}


class Limits(SimpleNamespace):
    """As the parser's: an attribute is an item, too."""

    def __getitem__(self, name):
        return getattr(self, name)


def folder_of(tmp_path, batches=8, ended=None, epochs=4, **had):
    """A run folder whose last checkpoint was written after `batches` batches."""
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    options = yaml.safe_dump({"trainer": {**LIMITS, **had}})
    (run / "config.yaml").write_text(options)
    content = {"state_dict": {}, "global_step": batches, "options": options}
    torch.save(content, run / "checkpoints" / "last.ckpt")
    if ended is not None:
        (run / "summary.json").write_text(json.dumps({"batches": ended, "epochs": epochs}))
    return run


def test_an_empty_folder_and_a_run_without_a_checkpoint_begin(tmp_path):
    assert resumed_start(tmp_path, Limits(**LIMITS)) == Start(str(tmp_path), None)
    (tmp_path / "config.yaml").touch()
    assert resumed_start(tmp_path, Limits(**LIMITS)) == Start(str(tmp_path), None)


@pytest.mark.parametrize(
    ("ended", "epochs", "had", "now", "is_complete"),
    [
        (None, 0, {}, {}, False),  # killed
        (4, 2, {}, {}, False),  # killed in a later part: the summary is that of the part before
        (8, 4, {}, {}, True),
        (8, 4, {}, {"max_epochs": 6}, False),
        (8, 4, {"max_epochs": 6}, {"max_epochs": 4}, True),
        (8, 2, {}, {}, True),  # ended by itself
        (8, 2, {}, {"max_time": "00:01:00:00"}, False),
        (8, 2, {"max_epochs": None, "max_steps": 8}, {"max_epochs": None, "max_steps": 8}, True),
        (8, 2, {"max_epochs": None, "max_steps": 8}, {"max_epochs": None, "max_steps": 9}, False),
        (8, 2, {"max_epochs": None, "max_steps": 9}, {"max_epochs": None, "max_steps": 8}, True),
        (8, 2, {"max_epochs": -1}, {"max_epochs": None, "max_time": "00:01:00:00"}, False),
    ],
)
def test_a_run_is_complete_if_it_has_ended_and_its_limits_are_reached(tmp_path, ended, epochs, had, now, is_complete):
    run = folder_of(tmp_path, ended=ended, epochs=epochs, **had)
    found = resumed_start(run, Limits(**{**LIMITS, **now}))
    assert found == Start(str(run), str(run / "checkpoints" / "last.ckpt"), is_complete)


def options(**changes):
    given = {"resume": True, "run_dir": "run", "ckpt_path": None, "trainer": Limits(**LIMITS)}
    return SimpleNamespace(**{**given, **changes})


@pytest.mark.parametrize(
    ("command", "changes", "message"),
    [
        ("validate", {}, "--resume is an option of fit, not of validate"),
        ("fit", {"run_dir": None}, "--resume needs --run_dir"),
        ("fit", {"ckpt_path": "a.ckpt"}, "--resume takes the last checkpoint of --run_dir: leave out --ckpt_path"),
    ],
)
def test_options_that_contradict_it_are_refused(command, changes, message):
    with pytest.raises(UserError, match=message):
        check_options(options(**changes), command)
    check_options(options(**{**changes, "resume": False}), command)


def test_a_folder_of_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(UserError, match="holds other files"):
        settle(options(run_dir=str(tmp_path)), "fit", "gan/digits")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is a file"):
        settle(options(run_dir=str(tmp_path / "file")), "fit", "gan/digits")


def test_it_waits_for_the_process_that_trains_there_and_without_it_nobody_waits(tmp_path, capfd):
    hold = (
        "import sys, pathlib, time; from lab.training.run_lock import RunLock; "
        "lock = RunLock(pathlib.Path(sys.argv[1])); print('locked', flush=True); time.sleep(1)"
    )
    words = [sys.executable, "-c", hold, str(tmp_path)]
    root = Path(__file__).parents[3]
    with subprocess.Popen(words, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "locked\n"
        with pytest.raises(UserError, match="another process is training in the run folder"):
            settle(options(run_dir=str(tmp_path), resume=False), "fit", "gan/digits")
        with Stops() as stops:
            stops.status = 138
            with pytest.raises(SystemExit):
                RunLock(tmp_path, patience=60)
        start, _, lock = settle(options(run_dir=str(tmp_path)), "fit", "gan/digits")
    assert start == Start(str(tmp_path), None)
    lock.release()
    assert capfd.readouterr().err == f"another process is training in {tmp_path}: waiting for its end\n"


def test_a_complete_run_says_so_and_changes_nothing(classifier_run, tmp_path, capsys):
    run = copied(classifier_run, tmp_path / "run")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    (run / "error.txt").touch()  # of a start that failed when all was trained
    again = [*tiny_runs.CLASSIFIER, "--trainer.max_epochs", "2", "--run_dir", str(run), "--resume"]
    with pytest.raises(SystemExit) as status:
        cli.main(again)
    assert status.value.code == 0
    assert capsys.readouterr().out == f"complete: {run} has its 2 epochs (8 batches)\n"
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    with pytest.raises(SystemExit) as status:
        cli.main([*again, "--seed_everything", "3", "--data.val_fraction", "0.3"])
    assert status.value.code == 2
    assert "but seed_everything 0 -> 3, data.val_fraction 0.1 -> 0.3: " in capsys.readouterr().err
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


@pytest.mark.full
def test_a_run_that_was_killed_before_its_first_checkpoint_begins_again(classifier_run, tmp_path):
    run = copied(classifier_run, tmp_path / "run")
    for path in (run / "checkpoints").iterdir():
        path.unlink()
    (run / "summary.json").unlink()
    (run / "error.txt").touch()
    cli.main([*tiny_runs.CLASSIFIER, "--trainer.max_epochs", "2", "--run_dir", str(run), "--resume"])
    kept = [torch.load(r / "checkpoints" / "last.ckpt", weights_only=True) for r in (classifier_run, run)]
    assert all(torch.equal(weight, kept[1]["state_dict"][name]) for name, weight in kept[0]["state_dict"].items())
    rows = [len((r / "metrics.csv").read_text().splitlines()) for r in (classifier_run, run)]
    assert rows[0] == rows[1]
    assert not any((run / name).exists() for name in ("config-resumed.yaml", "error.txt"))
