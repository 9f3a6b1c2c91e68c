import optuna
import pytest
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from lab.compat.optuna_trials import claim, set_user_attribute


@pytest.fixture
def study():
    study = optuna.create_study()
    for _ in range(2):
        study.enqueue_trial({})
    return study


def test_the_chosen_trial_is_claimed_and_no_other(study):
    second = study.get_trials()[1]
    trial = claim(study, second)
    assert trial.number == second.number == 1
    assert [trial.state for trial in study.get_trials()] == [TrialState.WAITING, TrialState.RUNNING]
    study.tell(trial, 0.5)
    assert study.best_trial.number == 1


@pytest.mark.parametrize("state", [TrialState.RUNNING, TrialState.COMPLETE])
def test_a_trial_that_another_process_has_claimed_is_not_claimed_again(study, state):
    waiting = study.get_trials()[0]
    other = claim(study, waiting)
    if state is TrialState.COMPLETE:
        study.tell(other, 1.0)
    assert claim(study, waiting) is None
    assert study.get_trials()[0].state is state


def test_an_attribute_of_a_trial_that_another_process_runs(study):
    waiting = study.get_trials()[1]
    claimed = claim(study, waiting)
    set_user_attribute(study, waiting, "lost", True)
    assert [trial.user_attrs for trial in study.get_trials()] == [{}, {"lost": True}]
    study.tell(claimed, 1.0)
    with pytest.raises(UpdateFinishedTrialError):
        set_user_attribute(study, waiting, "lost", False)
