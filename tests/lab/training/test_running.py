"""Runs that an alarm begins again, and runs that are stopped from outside."""

from types import SimpleNamespace

import pytest
from pytorch_lightning import Callback

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


class CtrlC(Callback):
    """Ctrl-C in that batch."""

    def __init__(self, batch: int) -> None:
        self.batch = batch

    def on_train_batch_start(self, trainer, *args):
        if trainer.global_step == self.batch:
            raise KeyboardInterrupt


@pytest.mark.parametrize(("batch", "goes_on"), [(1, False), (3, True)])
def test_ctrl_c_ends_with_the_command_that_goes_on(tmp_path, capsys, batch, goes_on):
    run_dir = tmp_path / "my run"
    options = ["-c", "configs/classifier/digits.yaml", "--quiet", "--trainer.max_epochs", "2"]
    options += ["--trainer.limit_train_batches", "2", "--trainer.log_every_n_steps", "1", "--run_dir", str(run_dir)]
    stop = ["--trainer.callbacks+=tests.lab.training.test_running.CtrlC", f"--trainer.callbacks.batch={batch}"]
    with pytest.raises(SystemExit) as status:
        cli.main(["fit", *options, *stop])
    assert status.value.code == 130
    told = capsys.readouterr().err
    if goes_on:
        command = f"fit -c '{run_dir}/config.yaml' --ckpt_path '{run_dir}/checkpoints/last.ckpt'"
        assert f"interrupted; this goes on from its last checkpoint:\n  python cli.py {command}" in told
    else:
        assert "interrupted; there is no checkpoint yet to go on from" in told


def test_a_resumed_run_that_is_stopped_goes_on_with_its_own_options(tmp_path, capsys):
    run_dir = tmp_path / "run"
    options = ["-c", "configs/classifier/digits.yaml", "--quiet", "--trainer.limit_train_batches", "2"]
    options += ["--trainer.log_every_n_steps", "1", "--trainer.max_epochs", "1", "--run_dir", str(run_dir)]
    cli.main(["fit", *options])
    longer = ["--ckpt_path", str(run_dir / "checkpoints/last.ckpt"), "--trainer.max_epochs", "3"]
    stop = ["--trainer.callbacks+=tests.lab.training.test_running.CtrlC", "--trainer.callbacks.batch=5"]
    with pytest.raises(SystemExit):
        cli.main(["fit", *options, *longer, *stop])
    assert f"fit -c {run_dir}/config-resumed.yaml --ckpt_path" in capsys.readouterr().err


def test_ctrl_c_before_a_run_is_no_traceback(monkeypatch, capsys):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("lab.commands.study.study", interrupted)
    with pytest.raises(SystemExit) as status:
        cli.main(["study"])
    assert status.value.code == 130
    assert capsys.readouterr().err == "interrupted\n"
