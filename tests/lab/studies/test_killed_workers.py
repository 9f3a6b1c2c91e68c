"""Workers that are killed in the middle of a trial, on PostgreSQL and on the journal in the study's folder."""

import csv
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import optuna
import pytest
import yaml
from optuna.trial import TrialState

from lab.studies.heartbeat import facts
from lab.studies.queue import Queue
from lab.studies.storage import open_storage

ROOT = Path(__file__).parents[3]
EPOCHS = 50
pytestmark = pytest.mark.slow


def write_study(path, trials):
    """Trials of some seconds each: the seeds of one setting."""
    overrides = {"trainer.max_epochs": EPOCHS, "trainer.accelerator": "cpu", "trainer.log_every_n_steps": 1}
    overrides |= {"trainer.limit_train_batches": 10, "trainer.limit_val_batches": 1}
    content = {"title": "Kills", "base": "configs/classifier/digits.yaml", "overrides": overrides}
    content |= {"grid": {"model.l2": [0.0, 1e-4]}, "seeds": list(range(trials // 2)), "record": ["val/accuracy"]}
    path.write_text(yaml.safe_dump({**content, "direction": "maximize"}))
    return path


def start(path, folder, *options):
    """The command, in a process of its own."""
    command = [sys.executable, "cli.py", "study", str(path), "--study_dir", str(folder), *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "WANDB_MODE": "disabled"}
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finish(process):
    """Its exit status and what it wrote."""
    told, _ = process.communicate(timeout=500)
    return process.returncode, told


def rows(folder):
    with (folder / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def working(optuna_study, folder, count, process):
    """`count` trials in the middle of their training: process number -> run folder."""
    for _ in range(3000):
        running = {
            int(facts(trial)["worker"].split(":")[1]): facts(trial)["run_dir"]
            for trial in optuna_study.get_trials(states=(TrialState.RUNNING,))
            if "run_dir" in facts(trial)
        }
        begun = {pid: run for pid, run in running.items() if (folder / run / "checkpoints" / "last.ckpt").exists()}
        if len(begun) >= count:
            return dict(list(begun.items())[:count])
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.1)
    raise AssertionError("no trial has begun")


def load(storage, process):
    """Optuna's study, as soon as there is one."""
    for _ in range(1000):
        if optuna.get_all_study_names(storage):
            return optuna.load_study(study_name=None, storage=storage)
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.1)
    raise AssertionError("there is no study")


def load_journal(folder, process):
    """Optuna's study in the study's folder, as soon as there is one."""
    while not (folder / "journal.log").exists():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.1)
    return load(open_storage(None, folder), process)


def check_recorded_once(optuna_study, folder, trials):
    """Every trial is complete once, in a folder of its own, whose curve has every epoch once."""
    found = rows(folder)
    assert [(row["trial"], row["state"]) for row in found] == [(str(n), "complete") for n in range(trials)]
    queue = Queue(optuna_study, trials)
    queue.read()
    complete = [queue.place_of[trial.number] for trial in queue.trials if trial.state is TrialState.COMPLETE]
    assert Counter(complete) == dict.fromkeys(range(trials), 1)
    assert len({row["run_dir"] for row in found}) == trials
    for row in found:
        with (folder / row["run_dir"] / "metrics.csv").open(newline="") as file:
            epochs = [line["epoch"] for line in csv.DictReader(file) if line["val/accuracy"]]
        assert epochs == [str(epoch) for epoch in range(EPOCHS)]


@pytest.fixture
def storage(postgresql):
    """A storage of the test itself, whose connections are closed before the server is."""
    opened = open_storage(postgresql, Path("nowhere"))
    yield opened
    opened.remove_session()
    opened.engine.dispose()


def test_two_of_four_workers_on_postgresql_are_killed(postgresql, storage, tmp_path):
    path, folder = write_study(tmp_path / "kills.yaml", 8), tmp_path / "study"
    command = ("--storage", postgresql, "--workers", "4")
    process = start(path, folder, *command)
    optuna_study = load(storage, process)
    victims = working(optuna_study, folder, 2, process)
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    status, told = finish(process)
    assert status == 0, told
    check_recorded_once(optuna_study, folder, 8)
    lost = optuna_study.get_trials(states=(TrialState.FAIL,))
    assert {facts(trial)["run_dir"] for trial in lost if "void" not in trial.user_attrs} == set(victims.values())
    assert all("lost" in trial.user_attrs or "void" in trial.user_attrs for trial in lost)
    assert set(victims.values()) <= {row["run_dir"] for row in rows(folder)}  # taken up in their own folders
    table = (folder / "results.csv").read_bytes()
    assert finish(start(path, folder, *command))[0] == 0
    assert (folder / "results.csv").read_bytes() == table
    assert len([trial for trial in optuna_study.get_trials() if not trial.user_attrs.get("void")]) == 8 + 2


def test_the_same_command_goes_on_after_a_kill(tmp_path):
    path, folder = write_study(tmp_path / "kills.yaml", 4), tmp_path / "study"
    process = start(path, folder)
    optuna_study = load_journal(folder, process)
    (pid,) = working(optuna_study, folder, 1, process)
    assert pid == process.pid
    process.kill()
    process.communicate()
    status, told = finish(start(path, folder))
    assert status == 0, told
    check_recorded_once(optuna_study, folder, 4)


def test_an_interrupted_start_goes_on(tmp_path):
    path, folder = write_study(tmp_path / "kills.yaml", 4), tmp_path / "study"
    process = start(path, folder, "--workers", "2")
    optuna_study = load_journal(folder, process)
    working(optuna_study, folder, 2, process)
    process.send_signal(signal.SIGTERM)
    assert finish(process)[0] == 143
    assert not optuna_study.get_trials(states=(TrialState.RUNNING,))  # no worker is left behind
    assert [trial.user_attrs["lost"] for trial in optuna_study.get_trials()] == ["stopped"] * 2
    status, told = finish(start(path, folder))
    assert status == 0, told
    check_recorded_once(optuna_study, folder, 4)
