"""Which trials are taken next, and how those of stopped and killed processes come back.

A trial that comes back is a new one in Optuna's books with the same place in the plan; the old one is marked as lost.
"""

from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, Trial, TrialState

from studies.signs import is_lost

MOST_ATTEMPTS = 3  # that get no further than the one before
NUMBER = "number"  # the parameter of a grid's or a list's trial: its place in `study.planned`


def trial_key(trial: FrozenTrial) -> int:
    """What a trial stands for: its place in the plan, or in a search the number of its first attempt."""
    fixed = trial.system_attrs.get("fixed_params", {})
    return int(trial.user_attrs.get("replaces", fixed.get(NUMBER, trial.params.get(NUMBER, trial.number))))


def standing(books: optuna.Study) -> dict[int, FrozenTrial]:
    """The trial that counts for each key: a finished one, else the last attempt that is under way or failed.

    Trials that were one too many do not count, and neither do lost ones that nobody has put back yet.
    """
    order = (TrialState.FAIL, TrialState.WAITING, TrialState.RUNNING, TrialState.PRUNED, TrialState.COMPLETE)
    best: dict[int, FrozenTrial] = {}
    for trial in books.get_trials(deepcopy=False):
        if trial.user_attrs.get("void") or (trial.state is TrialState.FAIL and trial.user_attrs.get("lost")):
            continue
        other = best.get(key := trial_key(trial))
        if other is None or order.index(trial.state) >= order.index(other.state):
            best[key] = trial
    return best


def next_trial(books: optuna.Study) -> Trial:
    """The trial to run now: one that was begun already, else the first that waits, else, in a search, a new one."""
    for trial in books.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
        if "attempts" not in trial.user_attrs:
            continue
        try:
            if books._storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING):
                return Trial(books, trial._trial_id)
        except UpdateFinishedTrialError:  # somebody else was faster, and has finished it
            continue
    return books.ask()


def count_attempt(trial: Trial, checkpointed_at: int | None) -> None:
    """Note how far the run was when this attempt began; if the one before got further, counting starts anew."""
    if trial.user_attrs.get("checkpointed_at") != checkpointed_at:
        trial.set_user_attr("attempts", 1)
    trial.set_user_attr("checkpointed_at", checkpointed_at)


def put_back_lost(books: optuna.Study) -> int:
    """Give up running trials whose process is gone, and let them be taken again; how many those are."""
    put_back = 0
    for trial in books.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if not is_lost(trial):
            continue
        attempts = trial.user_attrs.get("attempts", 1)
        if attempts < MOST_ATTEMPTS:
            if give_up(books, trial, "lost", True):
                put_in(books, trial, attempts + 1)
                put_back += 1
        else:
            give_up(books, trial, "error", f"its process was lost {attempts} times at the same place")
    return put_back


def put_back_stopped(books: optuna.Study, trial: Trial) -> None:
    """Let a trial be taken again whose process was told to stop; that does not count as an attempt."""
    stopped = books.get_trials(deepcopy=False)[trial.number]
    if give_up(books, stopped, "lost", True):
        put_in(books, stopped, stopped.user_attrs.get("attempts", 1))


def give_up(books: optuna.Study, trial: FrozenTrial, mark: str, value: Any) -> bool:
    """Book a running trial as failed, with a mark; whether nobody else was faster."""
    try:
        books._storage.set_trial_user_attr(trial._trial_id, mark, value)
        books.tell(trial.number, state=TrialState.FAIL)
    except (ValueError, RuntimeError):
        return False
    return True


def put_in(books: optuna.Study, trial: FrozenTrial, attempts: int) -> None:
    """Let a trial be taken again."""
    params = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
    attributes = {"attempts": attempts, "checkpointed_at": trial.user_attrs.get("checkpointed_at")}
    if NUMBER not in params:
        attributes["replaces"] = trial_key(trial)
    books.enqueue_trial(params, user_attrs=attributes)


def retry_failed(books: optuna.Study) -> None:
    """Let failed trials be taken again."""
    for trial in standing(books).values():
        if trial.state is TrialState.FAIL:
            put_in(books, trial, 1)
