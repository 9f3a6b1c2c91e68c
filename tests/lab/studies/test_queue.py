"""Which trial is taken next, and how those of stopped and killed workers are requeued."""

import os
import socket
import sys
import time

import optuna
import pytest
from optuna.trial import TrialState

from lab.studies import heartbeat as signs
from lab.studies import queue as trial_queue
from lab.studies.queue import NUMBER


@pytest.fixture
def optuna_study():
    """Three trials of a grid that wait."""
    optuna_study = optuna.create_study()
    for number in range(3):
        optuna_study.enqueue_trial({NUMBER: number})
    return optuna_study


def key(optuna_study, trial):
    return trial_queue.trial_key(optuna_study.get_trials()[trial.number])


def states(optuna_study):
    return {key: trial.state for key, trial in trial_queue.current_trials(optuna_study).items()}


def lose(optuna_study, checkpointed_at):
    """The next trial is taken, its run goes on from that checkpoint, and its process is killed; the trial's key."""
    trial = trial_queue.next_trial(optuna_study)
    trial_queue.count_attempt(trial, checkpointed_at)
    trial.set_user_attr("worker", "elsewhere:1:1")
    trial.set_user_attr("signed", 0.0)
    trial_queue.requeue_stale(optuna_study)
    return key(optuna_study, trial)


def test_a_trial_that_is_lost_again_and_again_at_the_same_place_is_given_up(optuna_study):
    assert [lose(optuna_study, 17) for _ in range(trial_queue.MOST_ATTEMPTS)] == [0] * trial_queue.MOST_ATTEMPTS
    trial = trial_queue.next_trial(optuna_study)
    with pytest.raises(trial_queue.StaleTooOftenError, match="its worker died 3 times at the same point"):
        trial_queue.count_attempt(trial, 17)
    optuna_study.tell(trial, state=TrialState.FAIL)
    assert states(optuna_study) == {0: TrialState.FAIL, 1: TrialState.WAITING, 2: TrialState.WAITING}
    assert trial_queue.requeue_stale(optuna_study) == 0
    trial_queue.retry_failed(optuna_study)
    assert states(optuna_study)[0] is TrialState.WAITING
    assert lose(optuna_study, 17) == 0


def test_a_trial_that_gets_further_is_put_back_however_often_it_is_killed(optuna_study):
    for checkpointed_at in (None, None, None, 1, 1, 1, 2, 3, 4, 5, 5, 5, 6):  # where each attempt begins
        assert lose(optuna_study, checkpointed_at) == 0
    assert states(optuna_study)[0] is TrialState.WAITING


def test_trials_that_were_begun_come_first(optuna_study):
    begun = [trial_queue.next_trial(optuna_study) for _ in range(2)]
    trial_queue.requeue_stopped(optuna_study, begun[1])
    again = trial_queue.next_trial(optuna_study)
    assert key(optuna_study, again) == 1
    assert again.suggest_int(NUMBER, 0, 2) == 1
    assert states(optuna_study) == {0: TrialState.RUNNING, 1: TrialState.RUNNING, 2: TrialState.WAITING}
    assert key(optuna_study, trial_queue.next_trial(optuna_study)) == 2


def test_a_stopped_trial_of_a_search_keeps_its_values():
    optuna_study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    first = trial_queue.next_trial(optuna_study, of_a_search=2)
    value = first.suggest_float("lr", 1e-4, 1.0, log=True)
    trial_queue.requeue_stopped(optuna_study, first)
    again = trial_queue.next_trial(optuna_study, of_a_search=2)
    assert again.suggest_float("lr", 1e-4, 1.0, log=True) == value
    assert list(states(optuna_study)) == [0]
    assert trial_queue.next_trial(optuna_study, of_a_search=2).suggest_float("lr", 1e-4, 1.0, log=True) != value
    assert trial_queue.next_trial(optuna_study, of_a_search=2) is None


def claims(optuna_study, count, **options):
    """Keys of the trials that `count` processes take, one after the other, and sign; None where there is none."""
    taken = []
    for _ in range(count):
        trial = trial_queue.next_trial(optuna_study, **options)
        taken.append(None if trial is None else key(optuna_study, trial))
        if trial is not None:
            trial.set_user_attr("worker", signs.worker_name())
            trial.set_user_attr("signed", time.time())
    return taken


def test_a_plan_that_two_starts_have_put_in_is_run_once(optuna_study):
    for number in range(3):
        optuna_study.enqueue_trial({NUMBER: number})
    first = trial_queue.next_trial(optuna_study)
    trial_queue.requeue_stopped(optuna_study, first)
    assert claims(optuna_study, 4) == [0, 1, 2, None]


@pytest.mark.parametrize("ending", [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL])
def test_what_is_finished_is_not_run_again_because_it_waits_twice(optuna_study, ending):
    optuna_study.enqueue_trial({NUMBER: 0})
    first = trial_queue.next_trial(optuna_study)
    optuna_study.tell(first, 1.0 if ending is TrialState.COMPLETE else None, state=ending)
    assert states(optuna_study)[0] is ending
    assert claims(optuna_study, 3) == [1, 2, None]


def test_two_that_put_back_the_same_lost_trial(optuna_study):
    lost = trial_queue.next_trial(optuna_study)
    frozen = optuna_study.get_trials()[lost.number]
    assert trial_queue.requeue(optuna_study, frozen, 2)
    trial_queue.enqueue_again(optuna_study, frozen, 2)  # the other one, killed before it saw that it was too late
    assert claims(optuna_study, 4) == [0, 1, 2, None]


def test_a_process_that_dies_while_it_puts_a_trial_back_loses_none(optuna_study, monkeypatch):
    stopped = trial_queue.next_trial(optuna_study)
    with monkeypatch.context() as dying:
        dying.setattr(optuna_study, "tell", lambda *args, **kwargs: sys.exit(1))
        with pytest.raises(SystemExit):
            trial_queue.requeue_stopped(optuna_study, stopped)
    stopped.set_user_attr("worker", f"{socket.gethostname()}:{os.getpid()}:0")
    stopped.set_user_attr("signed", time.time())
    assert states(optuna_study)[0] is TrialState.RUNNING
    assert trial_queue.requeue_stale(optuna_study) == 1
    assert claims(optuna_study, 4) == [0, 1, 2, None]


def test_two_that_draw_the_last_trials_of_a_search_beside_one_that_comes_back():
    optuna_study = optuna.create_study()
    first = trial_queue.next_trial(optuna_study, of_a_search=2)
    first.suggest_float("lr", 0.0, 1.0)
    trial_queue.requeue_stopped(optuna_study, first)
    assert claims(optuna_study, 3, of_a_search=2) == [0, 2, None]
