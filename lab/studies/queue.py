"""Hands out the trials of a study's plan: each place of the plan to one worker at a time.

The storage numbers trials one by one, whoever begins them, and a trial's number is its place in the plan. So a worker
takes the next place by beginning a trial, and nothing is enqueued beforehand. Two things differ:

- A trial whose worker was killed or stopped is marked as lost, and its place comes back: whoever takes it begins a
  trial that *replaces* the lost one. Of several that replace the same one at the same moment, the one with the lowest
  number counts, and the others end theirs as void.
- A replacement has a number, too. The place of that number is *skipped*; the trials with numbers beyond the plan make
  up for the skipped places, in order. All workers see the same numbers, so all agree on who has which place.

Studies that earlier versions began have a waiting trial for each place, which holds the place as a parameter.
"""

import time
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from lab.compat.optuna_trials import begin, end, set_user_attribute
from lab.studies.heartbeat import RUN, facts, first_beat, is_stale

MOST_ATTEMPTS = 3  # without a newer checkpoint
LOOK_SECONDS = 10.0  # how old the knowledge of other workers' trials may be, and more where there are many workers,
LOOKS_A_SECOND = 10.0  # of all workers together
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
REPLACES = "replaces"  # attribute: number of the first trial of the place
LOST = "lost"  # attribute: why the trial's place comes back; True if an earlier version found its worker dead
KILLED, STOPPED, RETRIED = "killed", "stopped", "retried"
VOID = "void"  # attribute: a trial without a place
PLACE_BEFORE = "number"  # the parameter that held the place in earlier versions


class StaleTooOftenError(Exception):
    """The workers of a trial died again and again, and it made no progress."""


class Queue:
    """The places of a study, 0 to `size - 1`, as the storage has them.

    Args:
        optuna_study: Optuna's study.
        size: How many trials the study has.
    """

    def __init__(self, optuna_study: optuna.Study, size: int) -> None:
        self.optuna_study, self.size = optuna_study, size
        self.trials: list[FrozenTrial] = []  # by number, as they were last read
        self.places: dict[int, list[int]] = {}  # numbers of the trials of each place that was begun
        self.place_of: dict[int, int] = {}  # by number; void trials have none
        self.skipped: list[int] = []  # places whose number went to another place's trial
        self.unfinished: set[int] = set()  # numbers
        self.unsettled: set[int] = set()  # places without a result
        self.looked_at = float("-inf")

    def read(self) -> None:
        """Read what has changed in the storage; finished trials are read once."""
        known, self.trials = len(self.trials), self.optuna_study.get_trials(deepcopy=False)
        for trial in self.trials[known:]:
            self.unfinished.add(trial.number)
            if (place := self.find_place(trial)) is not None:
                self.place_of[trial.number] = place
                self.places.setdefault(place, []).append(trial.number)
                self.unsettled.add(place)
        self.unfinished = {number for number in self.unfinished if not self.trials[number].state.is_finished()}
        self.unsettled = {place for place in self.unsettled if not is_result(self.current(place))}

    def find_place(self, trial: FrozenTrial) -> int | None:
        """The place of the next trial; None for one too many."""
        number, attributes = trial.number, trial.user_attrs
        before = trial.system_attrs.get("fixed_params", {}).get(PLACE_BEFORE, trial.params.get(PLACE_BEFORE))
        if REPLACES not in attributes and before is None:
            return number if number < self.size else (self.skipped.pop(0) if self.skipped else None)
        place: int = self.place_of[attributes[REPLACES]] if before is None else before
        if number < self.size:
            self.skipped.append(number)
        if place in self.skipped:  # enqueued by an earlier version
            self.skipped.remove(place)
        return place

    def current(self, place: int) -> FrozenTrial | None:
        """The trial that decides a place; None if the place is to be taken.

        A finished one, else the first that runs or has failed: others that replaced the same trial are second to it,
        and end without a say, whether or not their workers lived to mark them as void. A retry makes a failure void.
        """
        decides = None
        for trial in self.attempts(place):
            if trial.state in FINISHED:
                return trial
            if is_retry(trial):
                decides = None
            if decides is None and (trial.state is TrialState.RUNNING or is_failure(trial)):
                decides = trial
        return decides

    def attempts(self, place: int) -> list[FrozenTrial]:
        """The trials of a place in order, without void ones and those that an earlier version has only planned."""
        trials = (self.trials[number] for number in self.places.get(place, ()))
        return [trial for trial in trials if VOID not in trial.user_attrs and not is_planned(trial)]

    def look(self) -> int:
        """Read, and mark the running trials of dead workers as lost; returns how many."""
        self.read()
        self.looked_at = time.monotonic()
        running = [self.trials[number] for number in sorted(self.unfinished)]
        dead = [trial for trial in running if trial.state is TrialState.RUNNING and is_stale(trial)]
        lost = sum(self.lose(trial, KILLED) for trial in dead)
        if dead:
            self.read()
        return lost

    def lose(self, trial: Trial | FrozenTrial, why: str) -> bool:
        """Mark a running trial as lost, so that its place comes back; False if it has ended in the meantime."""
        try:
            set_user_attribute(self.optuna_study, trial, LOST, why)
            end(self.optuna_study, trial, TrialState.FAIL)
        except UpdateFinishedTrialError:
            return False
        return True

    def end(self, trial: Trial, state: TrialState, objective: float | None = None) -> None:
        """End a trial of this worker.

        Raises:
            UpdateFinishedTrialError: if another worker found its heartbeat stale and marked it as lost.
        """
        end(self.optuna_study, trial, state, objective)

    def take(self) -> tuple[int, Trial] | None:
        """A place, and a trial that runs there from now on; None if no place is left.

        Places that come back go first.
        """
        if time.monotonic() - self.looked_at > max(LOOK_SECONDS, len(self.unfinished) / LOOKS_A_SECOND):
            self.look()
        if (taken := self.take_known()) is None:
            self.look()
            taken = self.take_known()
        return taken

    def take_known(self) -> tuple[int, Trial] | None:
        """`take`, as far as is known from the last look."""
        while True:
            if (place := self.returning()) is not None:
                trial = begin(self.optuna_study, self.replacement(place))
            elif len(self.trials) < self.size or self.skipped:
                trial = begin(self.optuna_study, create_trial(state=TrialState.RUNNING, user_attrs={RUN: first_beat()}))
                if trial.number < self.size:
                    return trial.number, trial
            else:
                return None
            self.read()
            place = self.place_of.get(trial.number)
            if place is not None and (current := self.current(place)) is not None and current.number == trial.number:
                return place, trial
            trial.set_user_attr(VOID, True)
            self.end(trial, TrialState.FAIL)
            self.read()

    def returning(self) -> int | None:
        """The first place to be taken again; those that an earlier version planned come last."""
        places = (place for place in self.unsettled if self.current(place) is None)
        return min(places, key=lambda place: (not self.attempts(place), place), default=None)

    def replacement(self, place: int) -> FrozenTrial:
        """What a trial begins with that replaces the last one of a place."""
        first = self.trials[self.places[place][0]]
        last = (self.attempts(place) or [first])[-1]
        known, why = facts(last), last.user_attrs.get(LOST)
        run = {
            "attempts": known.get("attempts", 1) + (why in (KILLED, True)),
            "checkpointed_at": known.get("checkpointed_at"),
            "retried": why == RETRIED or (last.state is TrialState.WAITING and known.get("retried", False)),
        }
        return create_trial(
            state=TrialState.RUNNING,
            params=last.params,
            distributions=last.distributions,
            system_attrs={name: value for name, value in last.system_attrs.items() if name == "fixed_params"},
            user_attrs={REPLACES: first.number, RUN: {**run, **first_beat()}},
        )

    def retry_failed(self) -> None:
        """Let the places of failed trials come back: each gets a lost trial, as failed ones cannot be changed."""
        self.read()
        for place in self.places:
            failed = self.current(place)
            if failed is not None and failed.state is TrialState.FAIL:
                attributes = {REPLACES: self.places[place][0], LOST: RETRIED}
                lost = create_trial(
                    state=TrialState.FAIL,
                    params=failed.params,
                    distributions=failed.distributions,
                    user_attrs=attributes,
                )
                self.optuna_study.add_trial(lost)
        self.read()


def is_result(trial: FrozenTrial | None) -> bool:
    """Whether the trial that decides a place is finished or has failed."""
    return trial is not None and trial.state is not TrialState.RUNNING


def is_failure(trial: FrozenTrial) -> bool:
    """Whether the trial itself has failed, and not only its worker."""
    return trial.state is TrialState.FAIL and LOST not in trial.user_attrs


def is_retry(trial: FrozenTrial) -> bool:
    """Whether the trial is there because its place had failed; earlier versions enqueued a trial for that."""
    return trial.user_attrs.get(LOST) == RETRIED or trial.state is TrialState.WAITING or "retried" in trial.user_attrs


def is_planned(trial: FrozenTrial) -> bool:
    """Whether an earlier version enqueued the trial and nobody has begun it; it enqueued begun ones with a count."""
    return trial.state is TrialState.WAITING and "attempts" not in trial.user_attrs


def count_attempts(known: dict[str, Any], checkpointed_at: int | None) -> int:
    """The number of an attempt; the count begins anew when the one before has left a newer checkpoint."""
    return int(known.get("attempts", 1)) if known.get("checkpointed_at") == checkpointed_at else 1
