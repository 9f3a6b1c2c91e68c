"""Begins and ends trials of an Optuna study, whichever process runs them.

`Study.ask` would take a waiting trial first, and has no attributes to begin with. `Study.tell` reads the trial twice to
end it, and turns a trial that another process has ended into a ValueError. The id by which a storage knows a trial
(`FrozenTrial._trial_id`) and the storage behind a study (`Study._storage`) have no public names.

Checked with Optuna 4.5 and 5.0; pinned by tests/lab/compat/test_optuna_trials.py.
"""

from typing import Any

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState


def begin(study: optuna.Study, first: FrozenTrial | None = None) -> Trial:
    """Begin a new trial, which holds what `first` holds. The storage gives it the next number: no two get the same."""
    return Trial(study, study._storage.create_new_trial(study._study_id, first))


def end(study: optuna.Study, trial: Trial | FrozenTrial, state: TrialState, value: float | None = None) -> None:
    """End a trial with its objective, if it has one.

    Samplers are not told: the random and the TPE sampler read all they need from the trials.

    Raises:
        UpdateFinishedTrialError: If it has ended already.
    """
    study._storage.set_trial_state_values(trial._trial_id, state, None if value is None else [value])


def set_user_attribute(study: optuna.Study, trial: Trial | FrozenTrial, name: str, value: Any) -> None:
    """Write an attribute of a trial.

    Raises:
        UpdateFinishedTrialError: If it has ended.
    """
    study._storage.set_trial_user_attr(trial._trial_id, name, value)
