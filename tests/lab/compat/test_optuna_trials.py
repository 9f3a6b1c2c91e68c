import optuna
import pytest
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState, create_trial

from lab.compat.optuna_trials import begin, end, set_user_attribute


@pytest.fixture(params=["memory", "journal", "sqlite"])
def study(request, tmp_path):
    storages = {"memory": None, "sqlite": f"sqlite:///{tmp_path}/s.db"}
    if request.param == "journal":
        storages["journal"] = JournalStorage(JournalFileBackend(f"{tmp_path}/journal.log"))
    study = optuna.create_study(storage=storages[request.param])
    yield study
    if request.param == "sqlite":
        study._storage._backend.engine.dispose()


def running(**attributes):
    return create_trial(state=TrialState.RUNNING, user_attrs=attributes)


def test_a_trial_begins_with_what_is_given_and_gets_the_next_number(study):
    lr = optuna.distributions.FloatDistribution(0.1, 10.0, log=True)
    study.enqueue_trial({})  # which is not taken instead
    first = create_trial(
        state=TrialState.RUNNING, params={"lr": 0.5}, distributions={"lr": lr}, user_attrs={"worker": "a"}
    )
    trials = [begin(study, first), begin(study, running(worker="b"))]
    assert [trial.number for trial in trials] == [1, 2]
    assert trials[0].suggest_float("lr", 0.1, 10.0, log=True) == 0.5
    found = study.get_trials()
    assert [trial.state for trial in found] == [TrialState.WAITING, TrialState.RUNNING, TrialState.RUNNING]
    assert [trial.user_attrs for trial in found] == [{}, {"worker": "a"}, {"worker": "b"}]


def test_a_trial_ends_once(study):
    trial = begin(study, running())
    end(study, trial, TrialState.COMPLETE, 2.0)
    assert study.best_value == 2.0
    for other in (trial, study.get_trials()[0]):
        with pytest.raises(UpdateFinishedTrialError):
            end(study, other, TrialState.FAIL)
        with pytest.raises(UpdateFinishedTrialError):
            set_user_attribute(study, other, "lost", True)
    assert study.get_trials()[0].state is TrialState.COMPLETE


def test_another_process_writes_to_a_trial_and_ends_it(study):
    begin(study, running())
    other = study.get_trials()[0]
    set_user_attribute(study, other, "lost", "killed")
    end(study, other, TrialState.FAIL)
    found = study.get_trials()[0]
    assert (found.state, found.user_attrs, found.value) == (TrialState.FAIL, {"lost": "killed"}, None)
