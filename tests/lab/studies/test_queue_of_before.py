"""Studies that were begun before there was this queue."""

import shutil
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from lab.studies.heartbeat import facts
from lab.studies.queue import Queue
from lab.studies.storage import open_journal
from tests.lab.studies.workers import states, take, worker

BEFORE = Path(__file__).parents[2] / "data" / "before_queue"


@pytest.fixture
def before(tmp_path):
    """A function that opens a study that an earlier version began."""

    def opened(name, size):
        journal = tmp_path / "journal.log"
        shutil.copy(BEFORE / f"{name}.log", journal)
        return Queue(optuna.load_study(study_name=name, storage=open_journal(journal)), size)

    return opened


def test_a_grid_that_an_earlier_version_began_goes_on(before):
    queue = before("grid", 6)
    queue.read()
    complete, running, fail = TrialState.COMPLETE, TrialState.RUNNING, TrialState.FAIL
    assert states(queue) == {0: complete, 1: None, 2: fail, 3: complete, 4: running, 5: None}
    place, trial = worker(queue).take()
    assert (place, facts(trial)["attempts"], facts(trial)["checkpointed_at"]) == (1, 2, 18)
    place, trial = worker(queue).take()
    assert (place, facts(trial)["attempts"]) == (4, 2)
    place, trial = worker(queue).take()
    assert (place, facts(trial)["attempts"]) == (5, 1)
    assert take(queue) is None
    queue.retry_failed()
    assert take(queue) == 2
    assert facts(queue.current(0))["metrics"] == {"val/accuracy": 0.0}
    assert take(queue) is None


def test_a_search_that_an_earlier_version_began_goes_on(before):
    queue = before("search", 5)
    lost = queue.optuna_study.trials[1].params["model.l2"]
    place, trial = worker(queue).take()
    assert (place, facts(trial)["attempts"]) == (1, 2)
    assert trial.suggest_float("model.l2", 1e-4, 1e-1, log=True) == lost
    places = [worker(queue).take() for _ in range(3)]
    assert [taken and taken[0] for taken in places] == [3, 4, None]
    assert places[0][1].suggest_float("model.l2", 1e-4, 1e-1, log=True) != lost
