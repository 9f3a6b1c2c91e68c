import pytest

from lab import main as entry
from lab.errors import TERMINATED
from lab.stops import StoppedAtOnce


@pytest.fixture(params=[SystemExit, StoppedAtOnce])
def stopped(request, monkeypatch):
    """Every command is stopped by SIGTERM: by a look at what was asked for, or at once."""

    def run(words):
        raise request.param(TERMINATED)

    monkeypatch.setattr(entry, "run", run)
    for name in ("SLURM_PROCID", "RANK"):
        monkeypatch.delenv(name, raising=False)


def status_of(*words):
    with pytest.raises(SystemExit) as stop:
        entry.main(list(words))
    return stop.value.code


def test_a_stop_is_the_status_of_the_first_process(stopped, monkeypatch):
    assert status_of("fit") == 143
    monkeypatch.setenv("SLURM_PROCID", "0")
    assert status_of("fit") == 143


def test_a_stop_of_another_process_that_srun_started_puts_no_job_back(stopped, monkeypatch, capsys):
    """It may be srun's own, after the first process has failed."""
    monkeypatch.setenv("SLURM_PROCID", "1")
    assert status_of("fit") == 1
    assert capsys.readouterr().err == ""


def test_each_worker_of_a_study_has_its_own_status(stopped, monkeypatch):
    monkeypatch.setenv("SLURM_PROCID", "1")
    assert status_of("study") == 143
