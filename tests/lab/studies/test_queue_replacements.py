"""How the places of stopped, killed and failed trials come back."""

import optuna
import pytest
from optuna.trial import TrialState

from lab.studies import queue as queue_module
from lab.studies.heartbeat import RUN, facts
from lab.studies.queue import MOST_ATTEMPTS, STOPPED, Queue, count_attempts
from tests.lab.studies.workers import kill, states, take, worker


def test_only_one_of_two_replacements_counts(queue):
    place, lost = queue.take()
    kill(lost)
    first, second = worker(queue), worker(queue)
    assert (first.look(), second.look()) == (1, 0)
    assert second.returning() == first.returning() == place == 0
    assert second.take()[0] == 0
    assert first.take()[0] == 1  # number 1 replaces 0; number 2, which replaced it too, is void; 3 makes up for 1
    assert ["void" in trial.user_attrs for trial in queue.optuna_study.trials] == [False, False, True, False]
    assert [take(queue) for _ in range(2)] == [2, None]


def test_a_replacement_whose_worker_died_before_it_saw_that_it_was_second_takes_nothing(queue):
    _, lost = queue.take()
    queue.lose(lost, STOPPED)
    behind = worker(queue)
    behind.look()
    template = behind.replacement(0)
    assert take(queue) == 0
    template.user_attrs.update(worker="elsewhere:1:1", signed=0.0)  # which go before what RUN says
    queue_module.begin(queue.optuna_study, template)
    assert worker(queue).look() == 1
    assert states(queue)[0] is TrialState.RUNNING
    assert [take(queue) for _ in range(3)] == [1, 2, None]


def second_to(queue, ending):
    """Place 0 came back and two workers have begun a trial for it; the first one has ended. The second one's trial."""
    _, lost = queue.take()
    queue.lose(lost, STOPPED)
    behind = worker(queue)
    behind.look()
    template = behind.replacement(0)
    place, first = worker(queue).take()
    second = queue_module.begin(queue.optuna_study, template)
    assert (place, first.number, second.number) == (0, 1, 2)
    queue.end(first, ending, 1.0 if ending is TrialState.COMPLETE else None)
    return second


@pytest.mark.parametrize("ending", [TrialState.COMPLETE, TrialState.FAIL])
@pytest.mark.parametrize("alive", [True, False])
def test_a_second_replacement_takes_nothing_from_one_that_has_ended(queue, ending, alive):
    second = second_to(queue, ending)
    if not alive:
        kill(second)
        assert worker(queue).look() == 1
    assert states(queue)[0] is ending
    assert [take(queue) for _ in range(3)] == [1, 2, None]


def test_a_retry_makes_up_for_what_failed_before_it_only(queue):
    second_to(queue, TrialState.FAIL)
    queue.retry_failed()
    place, trial = worker(queue).take()
    assert (place, facts(trial)["retried"]) == (0, True)
    queue.end(trial, TrialState.FAIL)
    assert states(queue)[0] is TrialState.FAIL
    assert [take(queue) for _ in range(3)] == [1, 2, None]


def test_two_workers_that_find_the_same_dead_one(queue, monkeypatch):
    kill(queue.take()[1])
    first, second = worker(queue), worker(queue)
    second.read()
    assert first.look() == 1
    monkeypatch.setattr(second, "read", lambda: None)  # its knowledge is older
    assert second.look() == 0
    assert take(queue) == 0


def test_a_worker_that_dies_while_it_marks_a_trial_loses_none(queue, monkeypatch):
    _, trial = queue.take()
    with monkeypatch.context() as dying:
        dying.setattr(queue_module, "end", lambda *args: exit(1))
        with pytest.raises(SystemExit):
            queue.lose(trial, STOPPED)
    assert states(queue) == {0: TrialState.RUNNING}
    kill(trial)
    assert take(queue) == 0


def lose_at(queue, checkpointed_at):
    """The next trial is taken, its run goes on from that checkpoint, and its process is killed; place and attempt."""
    place, trial = worker(queue).take()
    attempts = count_attempts(facts(trial), checkpointed_at)
    trial.set_user_attr(RUN, {"attempts": attempts, "checkpointed_at": checkpointed_at})
    kill(trial)
    return place, attempts


def test_attempts_are_counted_while_there_is_no_newer_checkpoint(queue):
    found = [lose_at(queue, checkpoint) for checkpoint in (None, None, None, 1, 1, 1, 2, 3, 3)]
    assert found == [(0, attempt) for attempt in (1, 2, 3, 1, 2, 3, 1, 1, 2)]


def test_a_stop_is_no_attempt(queue):
    for _ in range(MOST_ATTEMPTS + 1):
        place, trial = queue.take()
        assert (place, facts(trial).get("attempts", 1)) == (0, 1)
        queue.lose(trial, STOPPED)
        queue.look()


def test_failed_places_come_back_when_they_are_retried(queue):
    for _ in range(MOST_ATTEMPTS):
        lose_at(queue, 17)
    place, trial = worker(queue).take()
    assert (place, count_attempts(facts(trial), 17)) == (0, MOST_ATTEMPTS + 1)
    trial.set_user_attr(RUN, {"attempts": 4, "checkpointed_at": 17, "run_dir": "trials/0000"})
    queue.end(trial, TrialState.FAIL)
    assert take(queue) == 1
    for _ in range(2):  # twice does no harm
        worker(queue).retry_failed()
    assert states(queue) == {0: None, 1: TrialState.RUNNING}
    place, trial = worker(queue).take()
    assert (place, facts(trial)["attempts"], facts(trial)["retried"]) == (0, 1, True)
    queue.lose(trial, STOPPED)
    _, trial = worker(queue).take()
    assert not facts(trial)["retried"]  # it goes on with what the retry has begun


def test_a_lost_trial_of_a_search_keeps_its_values():
    queue = Queue(optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1)), 2)
    _, first = queue.take()
    value = first.suggest_float("lr", 1e-4, 1.0, log=True)
    queue.lose(first, STOPPED)
    place, again = worker(queue).take()
    assert (place, again.suggest_float("lr", 1e-4, 1.0, log=True)) == (0, value)
    place, other = worker(queue).take()
    assert place == 1
    assert other.suggest_float("lr", 1e-4, 1.0, log=True) != value
    assert take(queue) is None


def test_the_place_whose_number_went_to_a_replacement_is_made_up_for(queue):
    for _ in range(2):
        kill(worker(queue).take()[1])
        assert worker(queue).look() == 1
    _, trial = worker(queue).take()
    assert (trial.number, facts(trial)["attempts"]) == (2, 3)
    assert [take(queue) for _ in range(3)] == [1, 2, None]
    assert [trial.number for trial in queue.optuna_study.trials] == [0, 1, 2, 3, 4]
    assert list(states(queue).values()) == [TrialState.RUNNING] * 3
