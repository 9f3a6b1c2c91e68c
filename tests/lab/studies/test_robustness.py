"""What can go wrong around a study: kills, duplicates, a full disk, a storage in two places, hopeless trials."""

import csv
import errno
import json
import os
import sys
import time
from pathlib import Path

import optuna
import pytest
import yaml
from optuna.trial import TrialState

import cli
from lab.studies import engine, heartbeat
from lab.studies.queue import Queue
from lab.studies.storage import open_journal, open_storage, without_password
from lab.studies.study_file import read_study
from lab.studies.trial import alarms_of

ROOT = Path(__file__).parents[3]
RATE = "model.optimizer.lr"


def write_study(path, **changes):
    """Three short trials on scikit-learn's digits, with some keys changed."""
    content = {
        **{"title": "Learning rates", "base": "configs/classifier/digits.yaml", "grid": {RATE: [0.1, 0.01, 0.001]}},
        "overrides": {
            **{"trainer.max_epochs": 1, "trainer.limit_train_batches": 4, "trainer.limit_val_batches": 1},
            **{"trainer.log_every_n_steps": 1, "trainer.accelerator": "cpu", "model.network.hidden_dims": [8]},
        },
        **{"record": ["val/accuracy", "val/loss"], "direction": "maximize"},
        **changes,
    }
    path.write_text(yaml.safe_dump({key: value for key, value in content.items() if value is not None}))
    return path


def rows(folder):
    with (folder / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def run(path, folder, *options):
    """Run the study; its exit status."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["study", str(path), "--study_dir", str(folder), *options])
    return ended.value.code


@pytest.fixture
def study_dir(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    return tmp_path / "study"


@pytest.fixture
def queue(tmp_path, study_dir):
    """Of a study of three trials whose training is not needed."""
    study = read_study(write_study(tmp_path / "rates.yaml"))
    study_dir.mkdir()
    return engine.open_queue(study, study_dir, None)


@pytest.mark.slow
def test_full_disk_in_one_trial(tmp_path, study_dir, monkeypatch):
    original = engine.run_trial

    def full(study, run_dir, setting, seed, callbacks):
        if setting[RATE] == 0.01:
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(study, run_dir, setting, seed, callbacks)

    path = write_study(tmp_path / "rates.yaml")
    monkeypatch.setattr(engine, "run_trial", full)
    assert run(path, study_dir) == 1
    assert [row["state"] for row in rows(study_dir)] == ["complete", "failed", "complete"]
    assert "No space left on device" in rows(study_dir)[1]["error"]
    monkeypatch.setattr(engine, "run_trial", original)
    assert run(path, study_dir, "--retry_failed") == 0
    assert [row["state"] for row in rows(study_dir)] == ["complete"] * 3


def test_books_on_a_full_disk_end_in_one_message_and_can_be_read_again(tmp_path, study_dir, monkeypatch, capsys):
    path = write_study(tmp_path / "rates.yaml")

    def cut(self, logs):
        with open(self._file_path, "ab") as file:
            file.write(b'{"op_code":8,"worker')
        raise OSError(errno.ENOSPC, "No space left on device")

    def full(*args):
        monkeypatch.setattr(optuna.storages.journal.JournalFileBackend, "append_logs", cut)
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(engine, "run_trial", full)
        original = optuna.storages.journal.JournalFileBackend.append_logs
        assert run(path, study_dir) == 2
    monkeypatch.setattr(optuna.storages.journal.JournalFileBackend, "append_logs", original)
    error = capsys.readouterr().err
    assert "error: cannot write to the study's storage" in error
    assert "make room" in error
    lose(study_dir)
    assert run(path, study_dir) == 0
    assert [row["state"] for row in rows(study_dir)] == ["complete"] * 3


def lose(study_dir):
    """Make running trials look like those of a process that is gone."""
    storage = open_journal(study_dir / "journal.log")
    optuna_study = optuna.load_study(study_name=None, storage=storage)
    for trial in optuna_study.get_trials(states=(TrialState.RUNNING,)):
        storage.set_trial_user_attr(trial._trial_id, "worker", f"{heartbeat.socket.gethostname()}:{os.getpid()}:0")


def test_journal_survives_a_line_that_was_cut(queue, study_dir):
    queue.take()
    with (study_dir / "journal.log").open("ab") as file:
        file.write(b'{"op_code":5,"wor')
    for _ in range(2):
        again = Queue(optuna.load_study(study_name=None, storage=open_storage(None, study_dir)), 3)
        assert again.take()[0] == len(again.trials)
    queue.read()
    assert [trial.state for trial in queue.trials] == [TrialState.RUNNING] * 3


def test_lock_of_the_journal_points_at_it_from_a_relative_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lock = open_journal(Path("journal.log"))._backend._lock
    lock.acquire()
    assert (tmp_path / "journal.log.lock").exists()  # follows the link: a stale one is given up after a while
    lock.release()


def test_trial_of_another_machine_is_lost_after_two_minutes_of_silence(queue):
    _, trial = queue.take()
    trial.set_user_attr("worker", "elsewhere:1:1")
    for age, lost in ((heartbeat.STALE_SECONDS - 30, False), (heartbeat.STALE_SECONDS + 30, True)):
        trial.set_user_attr("signed", time.time() - age)
        assert heartbeat.is_stale(queue.optuna_study.get_trials()[trial.number]) is lost


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_search_draws_what_is_asked_for_and_goes_on_where_it_was(tmp_path, study_dir, sampler):
    search = {RATE: {"low": "1e-4", "high": "1e-1", "log": True}, "data.batch_size": {"choices": [32, 64]}}
    search["model.network.hidden_dims"] = {"choices": [[4], [8]]}
    path = write_study(tmp_path / "search.yaml", grid=None, search=search, sampler=sampler, trials=3)
    assert run(path, study_dir) == 0
    found = rows(study_dir)
    assert [row["state"] for row in found] == ["complete"] * 3
    assert all(1e-4 <= float(row[RATE]) <= 1e-1 and row["data.batch_size"] in ("32", "64") for row in found)
    assert len({row[RATE] for row in found}) == 3
    assert run(path, study_dir) == 0
    assert rows(study_dir) == found


@pytest.mark.slow
@pytest.mark.parametrize("pruner", ["median", "asha"])
def test_hopeless_trial_is_pruned(tmp_path, study_dir, pruner):
    good = [{RATE: 0.01, "trainer.log_every_n_steps": number} for number in range(1, 7)]  # all alike
    path = write_study(tmp_path / "p.yaml", grid=None, list=[*good, {RATE: 1e-9}], pruner=pruner)
    study = yaml.safe_load(path.read_text())
    study["overrides"] |= {"trainer.max_epochs": 2, "trainer.limit_train_batches": 12}
    path.write_text(yaml.safe_dump(study))
    assert run(path, study_dir) == 0
    *others, last = rows(study_dir)
    assert [row["state"] for row in others[:5]] == ["complete"] * 5
    assert last["state"] == "pruned"
    assert last["error"].startswith("val/accuracy 0.")
    assert last["val/accuracy"] == ""


def test_alarms_that_have_ended_do_not_ring(tmp_path):
    alarms = [{"name": "collapse", "message": "", "batch": 50, "ended": 100}]
    alarms.append({"name": "d_wins", "message": "", "batch": 50, "ended": None})
    (tmp_path / "alarms.json").write_text(json.dumps(alarms))
    assert alarms_of(tmp_path) == "collapse;d_wins"
    assert alarms_of(tmp_path, active=True) == "d_wins"


@pytest.mark.slow
def test_an_alarm_that_rings_prunes(tmp_path, study_dir, monkeypatch):
    from lab.studies import pruning

    monkeypatch.setattr(pruning, "alarms_of", lambda run_dir, active: "d_wins" if "lr=0.01" in run_dir.name else "")
    assert run(write_study(tmp_path / "rates.yaml", pruner="median"), study_dir) == 0
    assert [row["state"] for row in rows(study_dir)] == ["complete", "pruned", "complete"]
    assert "alarm after batch 0: d_wins" in rows(study_dir)[1]["error"]


def test_a_run_that_diverges_is_pruned(tmp_path, study_dir):
    path = write_study(tmp_path / "rates.yaml", grid={"model.l2": [0.0, 1e38], "alarms.every_n_batches": [1]})
    assert run(path, study_dir) == 0
    good, diverged = rows(study_dir)
    assert (good["state"], diverged["state"]) == ("complete", "pruned")
    assert "by an alarm, not_finite" in diverged["error"]


@pytest.mark.parametrize("url", ["postgresql+psycopg://me:hidden@127.0.0.1:1/x", "nonsense://", "sqlite:////no/x.db"])
def test_unreachable_storage(tmp_path, study_dir, capsys, url):
    assert run(write_study(tmp_path / "rates.yaml"), study_dir, "--storage", url) == 2
    error = capsys.readouterr().err
    assert "the storage " in error
    assert "cannot be used" in error
    assert "hidden" not in error
    assert not study_dir.exists()


@pytest.mark.slow
def test_books_in_two_places(tmp_path, study_dir, capsys):
    path = write_study(tmp_path / "rates.yaml", grid={RATE: [0.1]})
    url = f"sqlite:///{tmp_path}/s.db"
    assert run(path, study_dir, "--storage", url) == 0
    assert run(path, study_dir) == 2
    assert "give the --storage that it was started with" in capsys.readouterr().err
    assert run(path, tmp_path / "elsewhere", "--storage", url) == 2
    assert "has none of their runs: give the --study_dir that they are in" in capsys.readouterr().err


def test_passwords_are_not_kept():
    told = without_password("study a.yaml --storage postgresql+psycopg://me:s3cret@host/db --workers 2")
    assert told == "study a.yaml --storage postgresql+psycopg://me:***@host/db --workers 2"
    told = without_password("study --storage postgresql+psycopg://host/db?user=me&password=s3cret&port=1 --workers 2")
    assert told == "study --storage postgresql+psycopg://host/db?user=me&password=***&port=1 --workers 2"


@pytest.mark.slow
def test_dry_run_lists_trials_and_writes_nothing(tmp_path, study_dir, capsys):
    path = write_study(tmp_path / "sizes.yaml", grid={"model.network.hidden_dims": [[8], [16, 8]]})
    cli.main(["study", str(path), "--study_dir", str(study_dir), "--dry_run"])
    told = capsys.readouterr().out
    assert "610 parameters  hidden_dims=[8] seed=0" in told
    assert "1,266 parameters  hidden_dims=[16, 8] seed=0" in told
    assert "from a few timed batches of the first setting" in told
    assert not study_dir.exists()
    assert run(path, study_dir) == 0
    cli.main(["study", str(path), "--study_dir", str(study_dir), "--dry_run"])
    assert "the mean of the complete ones in" in capsys.readouterr().out


@pytest.mark.slow
def test_memory_of_a_warm_process_does_not_grow(tmp_path, study_dir):
    path = write_study(tmp_path / "rates.yaml", seeds=list(range(15)))
    measured = []
    original = engine.run_trial

    def measuring(*args):
        found = original(*args)
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        measured.append(pages * os.sysconf("SC_PAGE_SIZE") / 2**20)
        return found

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(engine, "run_trial", measuring)
        assert run(path, study_dir) == 0
    assert len(measured) == 45
    assert measured[-1] - measured[14] < 40  # MiB in thirty trials


@pytest.mark.slow
def test_two_workers_share_no_run_folder(tmp_path, study_dir):
    assert run(write_study(tmp_path / "rates.yaml", seeds=[0, 1]), study_dir, "--workers", "2") == 0
    found = rows(study_dir)
    assert [row["state"] for row in found] == ["complete"] * 6
    assert len({row["run_dir"] for row in found}) == 6
    assert len(list((study_dir / "trials").iterdir())) == 6


def test_help_imports_no_torch():
    import subprocess

    told = subprocess.run(
        [sys.executable, "-X", "importtime", "cli.py", "study", "no.yaml"], cwd=ROOT, capture_output=True, text=True
    )
    assert told.returncode == 2
    assert "error: there is no study no.yaml" in told.stderr
    assert "| torch\n" not in told.stderr
