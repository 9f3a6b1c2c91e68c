"""Runs that an alarm begins again, and runs that are stopped from outside."""

from types import SimpleNamespace

import pytest
from pytorch_lightning import Callback

import cli
from lab.training import running
from lightning_models.callbacks.alarm_rules import RestartAskedError
from tests import tiny_runs


@pytest.fixture
def begun(tmp_path, monkeypatch):
    """The arguments of each run that was started; all but the last of `begun.alarms` runs end in an alarm."""

    class Begun(list):
        alarms = 0

    begun = Begun()

    def fake_cli(arguments, callbacks, run):
        begun.append(arguments)
        given = dict(argument.split("=") for argument in arguments if "=" in argument)
        run.options = SimpleNamespace(
            alarms=SimpleNamespace(restarts=2),
            run_dir=given.get("--run_dir", str(tmp_path / "run")),
            seed_everything=given.get("--seed_everything", "6"),
        )
        if len(begun) <= begun.alarms:
            raise RestartAskedError("alarm")

    monkeypatch.setattr(running, "ProjectCLI", fake_cli)
    return begun


def test_a_restart_begins_from_nothing_with_the_next_seed_in_a_folder_of_its_own(begun, tmp_path, capsys):
    (tmp_path / "run-restart1").mkdir()  # of an earlier attempt
    begun.alarms = 2
    running.with_restarts("fit", ["--ckpt_path", "run/checkpoints/last.ckpt"], [], running.Run())
    first = ["fit", "--ckpt_path", "run/checkpoints/last.ckpt"]
    again = ["--seed_everything=7", f"--run_dir={tmp_path}/run-restart1-2", "--ckpt_path=null"]
    once_more = ["--seed_everything=8", f"--run_dir={tmp_path}/run-restart2", "--ckpt_path=null"]
    assert begun == [first, [*first, *again], [*first, *again, *once_more]]
    assert capsys.readouterr().err == (
        f"alarm\nrestart 1 with seed 7 in {tmp_path}/run-restart1-2\n"
        f"alarm\nrestart 2 with seed 8 in {tmp_path}/run-restart2\n"
    )


def test_after_the_last_restart_the_alarm_ends_the_run(begun):
    begun.alarms = 9
    with pytest.raises(RestartAskedError):
        running.with_restarts("fit", [], [], running.Run())
    assert len(begun) == 1 + 2


def test_extra_callbacks_are_callbacks_of_the_trainer(calls, tmp_path):
    extra = Callback()
    running.run_trainer(tiny_runs.GAN[0], [*tiny_runs.GAN[1:], "--run_dir", str(tmp_path)], [extra])
    ((_, trainer, _),) = calls
    assert extra in trainer.callbacks


def test_ctrl_c_before_a_run_is_no_traceback(monkeypatch, capsys):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("lab.commands.study.run", interrupted)
    with pytest.raises(SystemExit) as status:
        cli.main(["study"])
    assert status.value.code == 130
    assert capsys.readouterr().err == "interrupted\n"
