"""Which place is taken next."""

import pytest
from optuna.trial import TrialState

from lab.studies import heartbeat
from lab.studies import queue as queue_module
from lab.studies.heartbeat import RESULT, RUN, facts
from lab.studies.queue import STOPPED, Queue
from tests.lab.studies.workers import kill, states, take, worker


def test_each_place_is_taken_once_and_nothing_is_enqueued(queue):
    assert [take(queue) for _ in range(4)] == [0, 1, 2, None]
    assert [trial.state for trial in queue.optuna_study.trials] == [TrialState.RUNNING] * 3
    assert [trial.number for trial in queue.optuna_study.trials] == [0, 1, 2]


def test_a_trial_that_has_just_begun_has_a_worker(queue):
    _, trial = queue.take()
    assert not heartbeat.is_stale(queue.optuna_study.trials[0])
    queue.lose(trial, STOPPED)
    queue.look()
    _, replacement = queue.take()
    assert facts(replacement)["worker"] == heartbeat.worker_name()
    assert not heartbeat.is_stale(queue.optuna_study.trials[1])


def test_workers_that_know_of_nobody_else_share_the_places(queue):
    """As they do between two looks: each began with an empty storage."""
    workers = [worker(queue) for _ in range(2)]
    for one in workers:
        one.look()
    assert [one.take()[0] for one in [*workers, workers[0]]] == [0, 1, 2]
    assert [one.take() for one in workers] == [None, None]
    assert [trial.user_attrs.get("void", False) for trial in queue.optuna_study.trials] == [False] * 3 + [True] * 2
    assert list(states(queue)) == [0, 1, 2]


@pytest.mark.parametrize("stopped", [False, True])
def test_places_that_come_back_go_first(queue, stopped):
    begun = [queue.take() for _ in range(2)]
    if stopped:
        assert queue.lose(begun[1][1], STOPPED)
    else:
        kill(begun[1][1])
    assert [take(queue) for _ in range(3)] == [1, 2, None]
    assert states(queue) == dict.fromkeys(range(3), TrialState.RUNNING)


def test_a_worker_that_is_killed_as_soon_as_it_has_begun_is_known_to_be_dead(queue, monkeypatch):
    monkeypatch.setattr(heartbeat, "worker_name", lambda: f"{heartbeat.socket.gethostname()}:1:never")
    queue.take()
    assert heartbeat.is_stale(queue.optuna_study.trials[0])


def test_an_ended_trial_is_not_lost(queue):
    _, trial = queue.take()
    queue.end(trial, TrialState.COMPLETE, 1.0)
    assert not queue.lose(trial, STOPPED)
    assert states(queue) == {0: TrialState.COMPLETE}
    assert queue.optuna_study.best_value == 1.0


@pytest.mark.parametrize("ending", [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL])
def test_what_has_ended_is_not_taken_again(queue, ending):
    _, trial = queue.take()
    queue.end(trial, ending, 1.0 if ending is TrialState.COMPLETE else None)
    assert states(queue)[0] is ending
    assert [take(queue) for _ in range(3)] == [1, 2, None]


def test_dead_workers_are_looked_for_every_few_seconds(optuna_study, monkeypatch):
    queue = Queue(optuna_study, 4)
    kill(queue.take()[1])
    assert [queue.take()[0] for _ in range(2)] == [1, 2]
    monkeypatch.setattr(queue_module, "LOOK_SECONDS", -1.0)
    assert [queue.take()[0] for _ in range(2)] == [0, 3]


def test_the_more_workers_there_are_the_less_often_each_looks(optuna_study, monkeypatch):
    queue = Queue(optuna_study, 40)
    for _ in range(15):
        worker(queue).take()
    now, looks = [1000.0], []
    monkeypatch.setattr(queue_module, "LOOK_SECONDS", 1.0)
    monkeypatch.setattr(queue_module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(queue, "look", lambda look=queue.look: looks.append(now[0]) or look())
    for _ in range(20):
        queue.take()
        now[0] += 0.25
    assert looks == [1000.0, 1001.75, 1004.0]  # 15 others, and then its own, too


def test_dead_workers_are_looked_for_before_a_worker_ends(queue):
    kill(queue.take()[1])
    assert [queue.take()[0] for _ in range(3)] == [1, 2, 0]


def test_results_are_read_whoever_wrote_them(queue):
    _, trial = queue.take()
    trial.set_user_attr(RUN, {"run_dir": "trials/0", "attempts": 1})
    trial.set_user_attr(RESULT, {"run_dir": "trials/0-restart1", "seconds": 2.0})
    trial.set_user_attr("error", "none")
    found = facts(queue.optuna_study.trials[0])
    assert (found["run_dir"], found["attempts"], found["seconds"], found["error"]) == (
        "trials/0-restart1",
        1,
        2.0,
        "none",
    )


def test_finished_trials_are_looked_at_once(optuna_study, monkeypatch):
    queue = Queue(optuna_study, 50)
    for _ in range(40):
        _, trial = queue.take()
        queue.end(trial, TrialState.COMPLETE, 1.0)
    queue.look()
    assert (queue.unfinished, queue.unsettled) == (set(), set())
    seen = []
    monkeypatch.setattr(queue, "current", lambda place: seen.append(place))
    for _ in range(3):
        queue.take()
    queue.read()
    assert set(seen) == {40, 41, 42}
