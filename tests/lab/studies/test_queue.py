"""Which trials are taken next, and how those of stopped and killed processes come back, on books of their own."""

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
def books():
    """Three trials of a grid that wait."""
    books = optuna.create_study()
    for number in range(3):
        books.enqueue_trial({NUMBER: number})
    return books


def key(books, trial):
    return trial_queue.trial_key(books.get_trials()[trial.number])


def states(books):
    return {key: trial.state for key, trial in trial_queue.standing(books).items()}


def lose(books, checkpointed_at):
    """The next trial is taken, its run goes on from that checkpoint, and its process is killed; the trial's key."""
    trial = trial_queue.next_trial(books)
    trial_queue.count_attempt(trial, checkpointed_at)
    trial.set_user_attr("worker", "elsewhere:1:1")
    trial.set_user_attr("signed", 0.0)
    trial_queue.put_back_lost(books)
    return key(books, trial)


def test_a_trial_that_is_lost_again_and_again_at_the_same_place_is_given_up(books):
    assert [lose(books, 17) for _ in range(trial_queue.MOST_ATTEMPTS)] == [0] * trial_queue.MOST_ATTEMPTS
    trial = trial_queue.next_trial(books)
    with pytest.raises(trial_queue.LostTooOftenError, match="its process was lost 3 times at the same place"):
        trial_queue.count_attempt(trial, 17)
    books.tell(trial, state=TrialState.FAIL)
    assert states(books) == {0: TrialState.FAIL, 1: TrialState.WAITING, 2: TrialState.WAITING}
    assert trial_queue.put_back_lost(books) == 0
    trial_queue.retry_failed(books)
    assert states(books)[0] is TrialState.WAITING
    assert lose(books, 17) == 0


def test_a_trial_that_gets_further_is_put_back_however_often_it_is_killed(books):
    for checkpointed_at in (None, None, None, 1, 1, 1, 2, 3, 4, 5, 5, 5, 6):  # where each attempt begins
        assert lose(books, checkpointed_at) == 0
    assert states(books)[0] is TrialState.WAITING


def test_trials_that_were_begun_come_first(books):
    begun = [trial_queue.next_trial(books) for _ in range(2)]
    trial_queue.put_back_stopped(books, begun[1])
    again = trial_queue.next_trial(books)
    assert key(books, again) == 1
    assert again.suggest_int(NUMBER, 0, 2) == 1
    assert states(books) == {0: TrialState.RUNNING, 1: TrialState.RUNNING, 2: TrialState.WAITING}
    assert key(books, trial_queue.next_trial(books)) == 2


def test_a_stopped_trial_of_a_search_keeps_its_values():
    books = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    first = trial_queue.next_trial(books, of_a_search=2)
    value = first.suggest_float("lr", 1e-4, 1.0, log=True)
    trial_queue.put_back_stopped(books, first)
    again = trial_queue.next_trial(books, of_a_search=2)
    assert again.suggest_float("lr", 1e-4, 1.0, log=True) == value
    assert list(states(books)) == [0]
    assert trial_queue.next_trial(books, of_a_search=2).suggest_float("lr", 1e-4, 1.0, log=True) != value
    assert trial_queue.next_trial(books, of_a_search=2) is None


def claims(books, count, **options):
    """Keys of the trials that `count` processes take, one after the other, and sign; None where there is none."""
    taken = []
    for _ in range(count):
        trial = trial_queue.next_trial(books, **options)
        taken.append(None if trial is None else key(books, trial))
        if trial is not None:
            trial.set_user_attr("worker", signs.worker_name())
            trial.set_user_attr("signed", time.time())
    return taken


def test_a_plan_that_two_starts_have_put_in_is_run_once(books):
    for number in range(3):
        books.enqueue_trial({NUMBER: number})
    first = trial_queue.next_trial(books)
    trial_queue.put_back_stopped(books, first)
    assert claims(books, 4) == [0, 1, 2, None]


@pytest.mark.parametrize("ending", [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL])
def test_what_is_finished_is_not_run_again_because_it_waits_twice(books, ending):
    books.enqueue_trial({NUMBER: 0})
    first = trial_queue.next_trial(books)
    books.tell(first, 1.0 if ending is TrialState.COMPLETE else None, state=ending)
    assert states(books)[0] is ending
    assert claims(books, 3) == [1, 2, None]


def test_two_that_put_back_the_same_lost_trial(books):
    lost = trial_queue.next_trial(books)
    frozen = books.get_trials()[lost.number]
    assert trial_queue.put_back(books, frozen, 2)
    trial_queue.put_in(books, frozen, 2)  # the other one, killed before it saw that it was too late
    assert claims(books, 4) == [0, 1, 2, None]


def test_a_process_that_dies_while_it_puts_a_trial_back_loses_none(books, monkeypatch):
    stopped = trial_queue.next_trial(books)
    with monkeypatch.context() as dying:
        dying.setattr(books, "tell", lambda *args, **kwargs: sys.exit(1))
        with pytest.raises(SystemExit):
            trial_queue.put_back_stopped(books, stopped)
    stopped.set_user_attr("worker", f"{socket.gethostname()}:{os.getpid()}:0")
    stopped.set_user_attr("signed", time.time())
    assert states(books)[0] is TrialState.RUNNING
    assert trial_queue.put_back_lost(books) == 1
    assert claims(books, 4) == [0, 1, 2, None]


def test_two_that_draw_the_last_trials_of_a_search_beside_one_that_comes_back():
    books = optuna.create_study()
    first = trial_queue.next_trial(books, of_a_search=2)
    first.suggest_float("lr", 0.0, 1.0)
    trial_queue.put_back_stopped(books, first)
    assert claims(books, 3, of_a_search=2) == [0, 2, None]
