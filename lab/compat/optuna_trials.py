"""Claims a waiting trial of an Optuna study, and writes to a trial that another process runs.

`Study.ask` takes the first waiting trial that it finds; a study here resumes begun trials first, so it chooses one and
claims that. The id by which a storage knows a trial (`FrozenTrial._trial_id`) and the storage behind a study
(`Study._storage`) have no public names.

Checked with Optuna 4.5 and 5.0; pinned by tests/lab/compat/test_optuna_trials.py.
"""

from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, Trial, TrialState


def claim(study: optuna.Study, waiting: FrozenTrial) -> Trial | None:
    """Set a waiting trial to running; None if another process was faster. Of several processes exactly one gets it."""
    try:
        claimed = study._storage.set_trial_state_values(waiting._trial_id, TrialState.RUNNING)
    except UpdateFinishedTrialError:
        return None
    return Trial(study, waiting._trial_id) if claimed else None


def set_user_attribute(study: optuna.Study, trial: FrozenTrial, name: str, value: Any) -> None:
    """Write an attribute of a trial, whichever process runs it.

    Raises:
        UpdateFinishedTrialError: If the trial has ended.
    """
    study._storage.set_trial_user_attr(trial._trial_id, name, value)
