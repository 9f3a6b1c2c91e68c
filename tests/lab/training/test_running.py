"""Runs that an alarm begins again, and runs that are stopped from outside."""

from types import SimpleNamespace

import pytest

import cli
from lab.training import running
from lightning_models.callbacks.alarm_rules import RestartAskedError


def test_a_restart_begins_from_nothing_with_the_next_seed_in_a_folder_of_its_own(tmp_path, monkeypatch, capsys):
    begun = []

    class FakeCLI:
        current = None

        def __init__(self, arguments, callbacks):
            begun.append(arguments)
            alarms = SimpleNamespace(restarts=2)
            FakeCLI.current = SimpleNamespace(
                options=SimpleNamespace(alarms=alarms, run_dir=str(tmp_path / "run"), seed_everything=5 + len(begun))
            )
            if len(begun) < 3:
                raise RestartAskedError("alarm")

    monkeypatch.setattr(running, "ProjectCLI", FakeCLI)
    (tmp_path / "run-restart1").mkdir()  # of an earlier attempt
    running.with_restarts("fit", ["--ckpt_path", "run/checkpoints/last.ckpt"], [])
    again = ["--seed_everything=7", f"--run_dir={tmp_path}/run-restart1-2", "--ckpt_path=null"]
    assert begun[1] == ["fit", "--ckpt_path", "run/checkpoints/last.ckpt", *again]
    assert begun[2][-3:] == ["--seed_everything=8", f"--run_dir={tmp_path}/run-restart2", "--ckpt_path=null"]
    assert f"restart 1 with seed 7 in {tmp_path}/run-restart1-2" in capsys.readouterr().err


def test_ctrl_c_before_a_run_is_no_traceback(monkeypatch, capsys):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("lab.commands.study.study", interrupted)
    with pytest.raises(SystemExit) as status:
        cli.main(["study"])
    assert status.value.code == 130
    assert capsys.readouterr().err == "interrupted\n"
