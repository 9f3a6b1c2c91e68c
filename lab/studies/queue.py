"""Decides which trial is next, and requeues those of stopped and killed workers.

A requeued trial is a new trial in Optuna's storage with the same key, its place in the plan; the old one is marked as
lost. The new one is enqueued before the old one is marked, so that whenever a process dies, each key has a trial that
counts. Several waiting trials of one key do no harm: only the first may be taken, and only while no other trial of the
key is running. Optuna gives a waiting trial to one process only, so no two workers run the same key.
"""

from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, Trial, TrialState

from lab.compat.optuna_trials import claim, set_user_attribute
from lab.studies.heartbeat import is_stale

MOST_ATTEMPTS = 3  # without a newer checkpoint
NUMBER = "number"  # the parameter of a grid's or a list's trial: its place in `study.planned`
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


class StaleTooOftenError(Exception):
    """The workers of a trial died again and again, and it made no progress."""


def trial_key(trial: FrozenTrial) -> int:
    """The key of a trial: its place in the plan or, in a search, the number of its first attempt."""
    fixed = trial.system_attrs.get("fixed_params", {})
    return int(trial.user_attrs.get("replaces", fixed.get(NUMBER, trial.params.get(NUMBER, trial.number))))


def by_key(optuna_study: optuna.Study) -> dict[int, list[FrozenTrial]]:
    """The trials of each key by their numbers, without lost ones and those beyond the size of a search."""
    trials: dict[int, list[FrozenTrial]] = {}
    for trial in optuna_study.get_trials(deepcopy=False):
        if not (trial.user_attrs.get("void") or (trial.state is TrialState.FAIL and trial.user_attrs.get("lost"))):
            trials.setdefault(trial_key(trial), []).append(trial)
    return trials


def was_requeued(trial: FrozenTrial) -> bool:
    """Whether it was enqueued again, rather than planned."""
    return "attempts" in trial.user_attrs


def resumed_first(trial: FrozenTrial) -> tuple[bool, int]:
    """Sort key of waiting trials: those that were begun come first."""
    return not was_requeued(trial), trial.number


def waiting_trial(trials: list[FrozenTrial]) -> FrozenTrial | None:
    """The one trial of a key that may be taken; None if the key is finished, has failed or is running."""
    if any(t.state in FINISHED or (t.state is TrialState.RUNNING and not is_stale(t)) for t in trials):
        return None
    last_failure = max((t.number for t in trials if t.state is TrialState.FAIL), default=-1)
    waiting = [t for t in trials if t.state is TrialState.WAITING]
    if last_failure >= 0:  # only one that was enqueued again, not a duplicate of two simultaneous starts
        waiting = [t for t in waiting if was_requeued(t) and t.number > last_failure]
    return min(waiting, key=resumed_first, default=None)


def deciding_trial(trials: list[FrozenTrial]) -> FrozenTrial:
    """The trial of a key that counts: a finished one, else a running, a waiting or a failed one, in this order."""
    for state in (*FINISHED, TrialState.RUNNING):
        if found := [trial for trial in trials if trial.state is state]:
            return found[0]
    return waiting_trial(trials) or next(t for t in reversed(trials) if t.state is TrialState.FAIL)


def current_trials(optuna_study: optuna.Study) -> dict[int, FrozenTrial]:
    """The trial that counts for each key."""
    return {key: deciding_trial(trials) for key, trials in by_key(optuna_study).items()}


def next_trial(optuna_study: optuna.Study, of_a_search: int | None = None) -> Trial | None:
    """Take a trial: one that was begun, else the first waiting one, else in a search a new one; None if none is left.

    Args:
        optuna_study: Optuna's study.
        of_a_search: size of the search; None for a grid or a list.
    """
    while True:
        trials = by_key(optuna_study)
        waiting = [trial for key in trials if (trial := waiting_trial(trials[key])) is not None]
        if not waiting:
            if of_a_search is None or len(trials) >= of_a_search:
                return None
            optuna_study.enqueue_trial({})  # the sampler draws its values when they are asked for
            continue
        if (claimed := claim(optuna_study, min(waiting, key=resumed_first))) is not None:
            return claimed


def count_attempt(trial: Trial, checkpointed_at: int | None) -> None:
    """Count an attempt; the count restarts when the last attempt has left a newer checkpoint.

    Raises:
        StaleTooOftenError: after MOST_ATTEMPTS attempts without progress.
    """
    attempts = trial.user_attrs.get("attempts", 1)
    if trial.user_attrs.get("checkpointed_at") != checkpointed_at:
        attempts = 1
    trial.set_user_attr("attempts", attempts)
    trial.set_user_attr("checkpointed_at", checkpointed_at)
    if attempts > MOST_ATTEMPTS:
        raise StaleTooOftenError(f"its worker died {MOST_ATTEMPTS} times at the same point")


def requeue_stale(optuna_study: optuna.Study) -> int:
    """Requeue the running trials of dead workers, and return their number."""
    lost = [trial for trial in optuna_study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)) if is_stale(trial)]
    return sum(requeue(optuna_study, trial, trial.user_attrs.get("attempts", 1) + 1) for trial in lost)


def requeue_stopped(optuna_study: optuna.Study, trial: Trial) -> bool:
    """Requeue a trial whose worker was asked to stop, which does not count as an attempt; False if it is another's."""
    stopped = optuna_study.get_trials(deepcopy=False)[trial.number]
    return requeue(optuna_study, stopped, stopped.user_attrs.get("attempts", 1))


def requeue(optuna_study: optuna.Study, trial: FrozenTrial, attempts: int) -> bool:
    """Enqueue a running trial again and mark it as lost; False if another worker was faster."""
    if optuna_study.get_trials(deepcopy=False)[trial.number].state.is_finished():
        return False
    enqueue_again(optuna_study, trial, attempts)
    try:
        set_user_attribute(optuna_study, trial, "lost", True)
        optuna_study.tell(trial.number, state=TrialState.FAIL)
    except (ValueError, UpdateFinishedTrialError):
        return False
    return True


def enqueue_again(optuna_study: optuna.Study, trial: FrozenTrial, attempts: int, **attributes: Any) -> None:
    """Enqueue a trial again, with its parameters and attributes."""
    params = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
    attributes |= {"attempts": attempts, "checkpointed_at": trial.user_attrs.get("checkpointed_at")}
    if NUMBER not in params:
        attributes["replaces"] = trial_key(trial)
    optuna_study.enqueue_trial(params, user_attrs=attributes)


def retry_failed(optuna_study: optuna.Study) -> None:
    """Enqueue failed trials again."""
    for trial in current_trials(optuna_study).values():
        if trial.state is TrialState.FAIL:
            enqueue_again(optuna_study, trial, 1, retried=True)
