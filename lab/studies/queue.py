"""Which trial is next, and how those of stopped and killed processes come back.

A trial that comes back is a new one in Optuna's books with the same key, its place in the plan; the old one is marked
as lost. The new one is put in before the old one is given up: whenever a process dies, each key has a trial that
counts. Several that wait for one key do no harm: of a key only the first may be taken, and only while nobody works on
another one. Optuna gives a waiting trial to one process only, so no two work on the same key.
"""

from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, Trial, TrialState

from lab.compat.optuna_trials import claim, set_user_attribute
from lab.studies.heartbeat import is_lost

MOST_ATTEMPTS = 3  # that get no further than the one before
NUMBER = "number"  # the parameter of a grid's or a list's trial: its place in `study.planned`
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


class LostTooOftenError(Exception):
    """A trial's processes were killed again and again, and it got no further."""


def trial_key(trial: FrozenTrial) -> int:
    """What a trial stands for: its place in the plan, or in a search the number of its first attempt."""
    fixed = trial.system_attrs.get("fixed_params", {})
    return int(trial.user_attrs.get("replaces", fixed.get(NUMBER, trial.params.get(NUMBER, trial.number))))


def by_key(books: optuna.Study) -> dict[int, list[FrozenTrial]]:
    """The trials of each key in the order of their numbers, without lost ones and those that were one too many."""
    trials: dict[int, list[FrozenTrial]] = {}
    for trial in books.get_trials(deepcopy=False):
        if not (trial.user_attrs.get("void") or (trial.state is TrialState.FAIL and trial.user_attrs.get("lost"))):
            trials.setdefault(trial_key(trial), []).append(trial)
    return trials


def is_begun(trial: FrozenTrial) -> bool:
    """Whether it was put back, rather than planned."""
    return "attempts" in trial.user_attrs


def begun_first(trial: FrozenTrial) -> tuple[bool, int]:
    """The order in which trials that wait are taken."""
    return not is_begun(trial), trial.number


def waiting_trial(trials: list[FrozenTrial]) -> FrozenTrial | None:
    """The one trial of a key that may be taken; None if the key is finished, failed or somebody works on it."""
    if any(t.state in FINISHED or (t.state is TrialState.RUNNING and not is_lost(t)) for t in trials):
        return None
    last_failure = max((t.number for t in trials if t.state is TrialState.FAIL), default=-1)
    waiting = [t for t in trials if t.state is TrialState.WAITING]
    if last_failure >= 0:  # only if somebody asked for it again, not for what two starts have put in twice
        waiting = [t for t in waiting if is_begun(t) and t.number > last_failure]
    return min(waiting, key=begun_first, default=None)


def counting_trial(trials: list[FrozenTrial]) -> FrozenTrial:
    """The trial of a key that counts: a finished one, else one under way, else one that waits, else a failed one."""
    for state in (*FINISHED, TrialState.RUNNING):
        if found := [trial for trial in trials if trial.state is state]:
            return found[0]
    return waiting_trial(trials) or next(t for t in reversed(trials) if t.state is TrialState.FAIL)


def standing(books: optuna.Study) -> dict[int, FrozenTrial]:
    """The trial that counts for each key."""
    return {key: counting_trial(trials) for key, trials in by_key(books).items()}


def next_trial(books: optuna.Study, of_a_search: int | None = None) -> Trial | None:
    """Take a trial: one that was begun, else the first that waits, else, in a search, a new one; None if none is left.

    Args:
        books: Optuna's study.
        of_a_search: trials that a search makes; None for a grid or a list.
    """
    while True:
        trials = by_key(books)
        waiting = [trial for key in trials if (trial := waiting_trial(trials[key])) is not None]
        if not waiting:
            if of_a_search is None or len(trials) >= of_a_search:
                return None
            books.enqueue_trial({})  # the sampler draws its values when they are asked for
            continue
        if (claimed := claim(books, min(waiting, key=begun_first))) is not None:
            return claimed


def count_attempt(trial: Trial, checkpointed_at: int | None) -> None:
    """Note how far the run was when this attempt began; if the one before got further, counting starts anew.

    Raises:
        LostTooOftenError: if it has been tried often enough.
    """
    attempts = trial.user_attrs.get("attempts", 1)
    if trial.user_attrs.get("checkpointed_at") != checkpointed_at:
        attempts = 1
    trial.set_user_attr("attempts", attempts)
    trial.set_user_attr("checkpointed_at", checkpointed_at)
    if attempts > MOST_ATTEMPTS:
        raise LostTooOftenError(f"its process was lost {MOST_ATTEMPTS} times at the same place")


def put_back_lost(books: optuna.Study) -> int:
    """Give up running trials whose process is gone, and let them be taken again; how many those are."""
    lost = [trial for trial in books.get_trials(deepcopy=False, states=(TrialState.RUNNING,)) if is_lost(trial)]
    return sum(put_back(books, trial, trial.user_attrs.get("attempts", 1) + 1) for trial in lost)


def put_back_stopped(books: optuna.Study, trial: Trial) -> bool:
    """Let a trial be taken again whose process was told to stop, which is no attempt; False if it is another's."""
    stopped = books.get_trials(deepcopy=False)[trial.number]
    return put_back(books, stopped, stopped.user_attrs.get("attempts", 1))


def put_back(books: optuna.Study, trial: FrozenTrial, attempts: int) -> bool:
    """Give up a running trial and let it be taken again; False if somebody else was faster."""
    if books.get_trials(deepcopy=False)[trial.number].state.is_finished():
        return False
    put_in(books, trial, attempts)
    try:
        set_user_attribute(books, trial, "lost", True)
        books.tell(trial.number, state=TrialState.FAIL)
    except (ValueError, UpdateFinishedTrialError):
        return False
    return True


def put_in(books: optuna.Study, trial: FrozenTrial, attempts: int, **attributes: Any) -> None:
    """Let a trial be taken again."""
    params = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
    attributes |= {"attempts": attempts, "checkpointed_at": trial.user_attrs.get("checkpointed_at")}
    if NUMBER not in params:
        attributes["replaces"] = trial_key(trial)
    books.enqueue_trial(params, user_attrs=attributes)


def retry_failed(books: optuna.Study) -> None:
    """Let failed trials be taken again."""
    for trial in standing(books).values():
        if trial.state is TrialState.FAIL:
            put_in(books, trial, 1, retried=True)
