"""Wrote grid.log and search.log on commit 8aa838f, whose studies enqueued every trial of the plan beforehand."""

import sys
from pathlib import Path

import optuna
from optuna.trial import TrialState

from lab.studies import queue
from lab.studies.queue import NUMBER
from lab.studies.storage import open_journal

FOLDER = Path(__file__).parent


def kill(study, trial, checkpointed_at, run_dir):
    """The worker of a running trial is killed, and another one requeues the trial."""
    queue.count_attempt(trial, checkpointed_at)
    for name, value in (("run_dir", run_dir), ("worker", "elsewhere:1:1"), ("signed", 0.0)):
        trial.set_user_attr(name, value)
    queue.requeue_stale(study)


def complete(study, trial, setting, value, run_dir):
    found = {"setting": setting, "seed": 0, "run_dir": run_dir, "metrics": {"val/accuracy": value}}
    for name, found_value in {**found, "parameters": 10, "seconds": 1.5, "alarms": ""}.items():
        trial.set_user_attr(name, found_value)
    study.tell(trial, value)


def grid():
    """Places 0 to 5: complete, killed once, failed, complete after a kill, running on a dead machine, waiting."""
    study = optuna.create_study(storage=open_journal(FOLDER / "grid.log"), study_name="grid", direction="maximize")
    for number in [*range(6), *range(6)]:  # two starts at the same moment
        study.enqueue_trial({NUMBER: number})
    for place in range(5):
        trial = queue.next_trial(study)
        assert trial.suggest_int(NUMBER, 0, 5) == place
        run_dir = f"trials/{place:04}-l2={place}-seed=0"
        if place in (0, 3):
            if place == 3:
                kill(study, trial, 17, run_dir)
                trial = queue.next_trial(study)
                assert trial.suggest_int(NUMBER, 0, 5) == 3
            complete(study, trial, {"model.l2": place}, place / 10, run_dir)
        elif place == 2:
            trial.set_user_attr("error", "OSError: [Errno 28] No space left on device")
            study.tell(trial, state=TrialState.FAIL)
    killed = queue.optuna.trial.Trial(study, 1)
    kill(study, killed, 18, "trials/0001-l2=1-seed=0")
    running = queue.optuna.trial.Trial(study, 4)
    for name, value in (("run_dir", "trials/0004-l2=4-seed=0"), ("worker", "elsewhere:2:2"), ("signed", 0.0)):
        running.set_user_attr(name, value)


def search():
    """Of five: complete, killed once and waiting again, complete; two are still to be drawn."""
    study = optuna.create_study(storage=open_journal(FOLDER / "search.log"), study_name="search", direction="maximize")
    for place in range(3):
        trial = queue.next_trial(study, of_a_search=5)
        l2 = trial.suggest_float("model.l2", 1e-4, 1e-1, log=True)
        run_dir = f"trials/{place:04}-l2={l2}-seed=0"
        if place == 1:
            continue
        complete(study, trial, {"model.l2": l2}, l2, run_dir)
    killed = queue.optuna.trial.Trial(study, 1)
    kill(study, killed, 19, f"trials/0001-l2={killed.params['model.l2']}-seed=0")


optuna.logging.set_verbosity(optuna.logging.ERROR)
{"grid": grid, "search": search}[sys.argv[1]]()
