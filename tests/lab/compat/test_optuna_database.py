"""Optuna's storage with fewer statements reads and writes the same as Optuna's own, and both work together."""

import math
from datetime import datetime, timedelta

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.trial import TrialState, create_trial
from sqlalchemy import event

from lab.compat.optuna_database import Database
from lab.compat.optuna_trials import begin, end, set_user_attribute


def opened_twice(url):
    """The same study as Optuna's own storage has it, and as ours has it."""
    storages = [RDBStorage(url), Database(url)]
    theirs, ours = (
        optuna.create_study(storage=storage, study_name="s", load_if_exists=True, direction="maximize")
        for storage in storages
    )
    yield theirs, ours
    for storage in storages:
        storage.remove_session()
        storage.engine.dispose()


@pytest.fixture
def studies(tmp_path):
    yield from opened_twice(f"sqlite:///{tmp_path}/s.db")


@pytest.fixture
def on_postgresql(postgresql):
    yield from opened_twice(postgresql)


def running(**attributes):
    return create_trial(state=TrialState.RUNNING, user_attrs=attributes)


def fill(study):
    """A trial of every kind."""
    study.enqueue_trial({"lr": 0.5}, user_attrs={"attempts": 2})
    trial = study.ask()  # the waiting one
    trial.suggest_float("lr", 0.1, 1.0, log=True)
    trial.suggest_categorical("width", ["[4]", "[8]"])
    for step, value in enumerate((0.25, math.inf, math.nan)):
        trial.report(value, step)
    study.tell(trial, 0.5)
    for number, value in enumerate((math.inf, -math.inf, 0.125, None)):
        trial = begin(study, running(run={"worker": "a", "place": number}))
        trial.set_user_attr("run", {"worker": "ü", "text": "50 %"})
        trial.set_user_attr("result", [number, None])
        end(study, trial, TrialState.FAIL if value is None else TrialState.COMPLETE, value)
    end(study, begin(study, running()), TrialState.PRUNED)
    lr = FloatDistribution(0.1, 1.0, log=True)
    first = create_trial(state=TrialState.RUNNING, params={"lr": 0.2}, distributions={"lr": lr}, user_attrs={"a": 1})
    begin(study, first)
    begin(study, running())
    study.add_trial(create_trial(state=TrialState.FAIL, user_attrs={"lost": "retried"}))


def check(theirs, ours):
    """Both read the same trials, whichever has written them, and both have written the same."""
    for study in (theirs, ours):
        fill(study)
    theirs.enqueue_trial({"lr": 0.75})
    found, read = theirs.get_trials(), ours.get_trials()
    assert list(map(str, found)) == list(map(str, read))  # as NaN differs from itself
    assert [trial.number for trial in read] == list(range(19))
    for first, second in zip(read[:9], read[9:18], strict=True):
        for name in ("state", "user_attrs", "system_attrs", "distributions", "values"):
            assert getattr(first, name) == getattr(second, name), name
        for name in ("datetime_start", "datetime_complete"):
            times = getattr(first, name), getattr(second, name)
            assert times == (None, None) or abs(datetime.now() - min(times)) < timedelta(minutes=1)
    assert list(map(str, found)) == [str(ours._storage.get_trial(trial._trial_id)) for trial in read]
    waiting = (TrialState.WAITING,)
    assert ours._storage._backend.get_all_trials(ours._study_id, states=waiting) == read[18:]
    assert theirs.best_value == ours.best_value == math.inf


def test_both_read_and_write_the_same(studies):
    check(*studies)


@pytest.mark.slow
def test_both_read_and_write_the_same_on_postgresql(on_postgresql):
    check(*on_postgresql)


def test_only_what_has_changed_is_read(studies):
    theirs, ours = studies
    trials = [begin(ours, running()) for _ in range(4)]
    end(ours, trials[2], TrialState.COMPLETE, 1.0)
    assert len(ours.get_trials()) == 4
    backend, read = ours._storage._backend, []
    original = backend.read
    backend.read = lambda *chosen: read.append(original(*chosen)) or read[-1]
    end(theirs, theirs.get_trials()[0], TrialState.FAIL)
    begin(theirs, running())
    assert [trial.state.name for trial in ours.get_trials()] == ["FAIL", "RUNNING", "COMPLETE", "RUNNING", "RUNNING"]
    assert [trial.number for trial in read[0]] == [0, 1, 3, 4]


def test_what_has_ended_is_not_written_to(studies):
    for study in studies:
        trial = begin(study, running(a=1))
        end(study, trial, TrialState.COMPLETE, 2.0)
        for other in studies:
            with pytest.raises(UpdateFinishedTrialError):
                end(other, trial, TrialState.FAIL)
            with pytest.raises(UpdateFinishedTrialError):
                set_user_attribute(other, trial, "a", 2)
        assert (study.trials[-1].user_attrs, study.trials[-1].value) == ({"a": 1}, 2.0)


def test_what_is_not_there_is_an_error(studies):
    _, ours = studies
    for call in (
        lambda storage: storage.get_trial(17),
        lambda storage: storage.set_trial_user_attr(17, "a", 1),
        lambda storage: storage.set_trial_state_values(17, TrialState.FAIL),
        lambda storage: storage.create_new_trial(17, running()),
    ):
        with pytest.raises(KeyError):
            call(ours._storage._backend)


def test_a_trial_that_could_not_be_begun_leaves_nothing(studies):
    _, ours = studies
    with pytest.raises(TypeError):
        begin(ours, running(a=object()))
    assert begin(ours, running()).number == 0
    assert len(ours.trials) == 1


def test_what_is_done_most_is_not_left_to_optuna(studies, monkeypatch):
    check_is_our_own(studies[1], monkeypatch)


@pytest.mark.slow
def test_what_is_done_most_is_not_left_to_optuna_on_postgresql(on_postgresql, monkeypatch):
    check_is_our_own(on_postgresql[1], monkeypatch)


def check_is_our_own(ours, monkeypatch):
    """Beginning a trial, writing to it and ending it take few statements."""
    executed = []
    event.listen(ours._storage._backend.engine, "before_cursor_execute", lambda *args: executed.append(args[2]))
    for name in ("_create_new_trial", "get_trial", "set_trial_user_attr", "set_trial_state_values"):
        monkeypatch.delattr(RDBStorage, name)
    trial = begin(ours, running(a=1))
    assert len(executed) == 3  # locks the study, inserts a trial and its attribute
    for value in (2, 3):
        trial.set_user_attr("a", value)
    assert len(executed) == 5
    end(ours, trial, TrialState.COMPLETE, 1.0)
    assert len(executed) == 7
    assert ours.trials[0].user_attrs == {"a": 3}
    assert len(executed) == 13


def test_a_trial_that_was_begun_is_read_anew_from_then_on(studies):
    theirs, ours = studies
    trial = begin(ours, running(a=[1]))
    trial.user_attrs["a"].append(2)
    set_user_attribute(theirs, trial, "a", [3])
    assert ours._storage.get_trial(trial._trial_id).user_attrs == {"a": [3]}
