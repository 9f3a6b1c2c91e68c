"""Which trials are taken next, and how those of stopped and killed processes come back, on books of their own."""

import optuna
import pytest
from optuna.trial import TrialState

from studies import trial_queue
from studies.trial_queue import NUMBER


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
    assert states(books) == {0: TrialState.FAIL, 1: TrialState.WAITING, 2: TrialState.WAITING}
    assert trial_queue.standing(books)[0].user_attrs["error"] == "its process was lost 3 times at the same place"
    assert trial_queue.put_back_lost(books) == 0
    assert lose(books, None) == 1
    trial_queue.retry_failed(books)
    assert states(books)[0] is TrialState.WAITING


def test_a_trial_that_gets_further_is_put_back_however_often_it_is_killed(books):
    for checkpointed_at in (None, None, 1, 1, 2, 3, 4, 5, 5):
        assert lose(books, checkpointed_at) == 0
    assert states(books)[0] is TrialState.WAITING
    assert lose(books, 5) == 0
    assert states(books)[0] is TrialState.FAIL


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
    first = trial_queue.next_trial(books)
    value = first.suggest_float("lr", 1e-4, 1.0, log=True)
    trial_queue.put_back_stopped(books, first)
    again = trial_queue.next_trial(books)
    assert again.suggest_float("lr", 1e-4, 1.0, log=True) == value
    assert list(states(books)) == [0]
    assert trial_queue.next_trial(books).suggest_float("lr", 1e-4, 1.0, log=True) != value
