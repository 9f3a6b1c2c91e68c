"""Workers that are killed in the middle of a trial, on PostgreSQL and on the journal in the study's folder."""

import csv
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import optuna
import pytest
import yaml
from optuna.trial import TrialState

from lab.studies.engine import trial_key
from lab.studies.storage import open_storage

ROOT = Path(__file__).parents[3]
SERVERS = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or [
    Path(found) for found in [shutil.which("initdb")] if found
]
EPOCHS = 50
pytestmark = pytest.mark.slow


@pytest.fixture
def postgresql():
    """The address of an empty database of a server of our own."""
    if not SERVERS:
        pytest.skip("PostgreSQL's server is not installed (Debian: apt-get install postgresql)")
    programs = SERVERS[-1].parent
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))  # not in tmp_path, which only its owner may enter
    data, prefix = folder / "data", []
    if os.getuid() == 0:  # the server refuses to run as root
        shutil.chown(folder, "postgres", "postgres")
        prefix = ["runuser", "-u", "postgres", "--"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"

    def call(*command):
        subprocess.run([*prefix, *map(str, command)], cwd=folder, check=True, stdout=subprocess.DEVNULL)

    call(programs / "initdb", "-D", data, "-U", "study", "--auth=trust", "--no-sync", "--encoding=UTF8")
    call(programs / "pg_ctl", "-D", data, "-o", options, "-l", folder / "log", "-w", "start")
    try:
        yield f"postgresql+psycopg://study@127.0.0.1:{port}/postgres"
    finally:
        call(programs / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder)


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
            int(trial.user_attrs["worker"].split(":")[1]): trial.user_attrs["run_dir"]
            for trial in optuna_study.get_trials(states=(TrialState.RUNNING,))
            if "worker" in trial.user_attrs and "run_dir" in trial.user_attrs
        }
        begun = {pid: run for pid, run in running.items() if (folder / run / "checkpoints" / "last.ckpt").exists()}
        if len(begun) >= count:
            return dict(list(begun.items())[:count])
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.1)
    raise AssertionError("no trial has begun")


def load(storage, process):
    """The optuna_study, as soon as there are any."""
    for _ in range(1000):
        if optuna.get_all_study_names(storage):
            return optuna.load_study(study_name=None, storage=storage)
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.1)
    raise AssertionError("there are no optuna_study")


def load_journal(folder, process):
    """The optuna_study in the study's folder, as soon as there are any."""
    while not (folder / "journal.log").exists():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.1)
    return load(open_storage(None, folder), process)


def check_recorded_once(optuna_study, folder, trials):
    """Every trial is complete once, in a folder of its own, whose curve has every epoch once."""
    found = rows(folder)
    assert [(row["trial"], row["state"]) for row in found] == [(str(n), "complete") for n in range(trials)]
    complete = [trial_key(trial) for trial in optuna_study.get_trials(states=(TrialState.COMPLETE,))]
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
    assert {trial.user_attrs["run_dir"] for trial in lost} == set(victims.values())
    assert all(trial.user_attrs["lost"] for trial in lost)
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
    requeue = [t for t in optuna_study.get_trials(states=(TrialState.WAITING,)) if "attempts" in t.user_attrs]
    assert [trial.user_attrs["attempts"] for trial in requeue] == [1, 1]
    status, told = finish(start(path, folder))
    assert status == 0, told
    check_recorded_once(optuna_study, folder, 4)
