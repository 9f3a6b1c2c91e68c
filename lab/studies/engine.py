"""Runs a study: Optuna stores the trials, and any number of worker processes take them from there.

A worker sends a heartbeat for its trial every few seconds. A trial whose worker is gone (killed, its machine taken
away) is taken over by the next worker that asks for one, and resumes from its last checkpoint. So a study can be killed
and started again at any time, on any number of machines; complete trials never run again.
"""

import json
import sys
import traceback
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import Trial, TrialState

from lab.errors import INTERRUPTED, UserError
from lab.stops import STATUSES, Stops
from lab.studies.heartbeat import RESULT, RUN, AbandonedTrialError, Heartbeat, facts, first_beat
from lab.studies.queue import MOST_ATTEMPTS, STOPPED, Queue, StaleTooOftenError, count_attempts
from lab.studies.results import is_due, write_results
from lab.studies.storage import is_database_error, open_storage
from lab.studies.study_file import LARGEST, Setting, Study, describe
from lab.studies.trial import alarms_of, checkpointed_at, run_dir_of, run_trial


def open_queue(study: Study, study_dir: Path, storage_url: str | None) -> Queue:
    """The study's trials in its storage; Optuna's study is made there if there is none yet.

    Raises:
        UserError: if the storage cannot be used, or holds another study of the name, or one whose runs are elsewhere.
    """
    storage = open_storage(storage_url, study_dir)
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # each trial prints its own result
    samplers = {"tpe": optuna.samplers.TPESampler, "random": optuna.samplers.RandomSampler}
    pruners: dict[str, Any] = {
        "none": optuna.pruners.NopPruner,
        "median": optuna.pruners.MedianPruner,
        "asha": optuna.pruners.SuccessiveHalvingPruner,
    }
    optuna_study = optuna.create_study(
        storage=storage,
        study_name=name_in(storage, study),
        direction=study.direction,
        sampler=samplers[study.sampler](),
        pruner=pruners[study.pruner](),
        load_if_exists=True,
    )
    there = optuna_study.user_attrs.get("study")
    if there is None:
        optuna_study.set_user_attr("study", study.as_dict())
    elif there != study.as_dict():
        raise UserError(
            f"the storage already holds another study of the name {optuna_study.study_name} ({there.get('title')}): "
            "rename the study's file, or use another storage"
        )
    queue = Queue(optuna_study, study.num_trials)
    queue.read()
    complete = [trial for trial in queue.trials if trial.state is TrialState.COMPLETE]
    if storage_url and complete and not any((study_dir / facts(trial)["run_dir"]).is_dir() for trial in complete):
        raise UserError(
            f"the storage holds {len(complete)} complete trials of {optuna_study.study_name}, but {study_dir} has none "
            "of their runs: give the --study_dir that they are in, or another --storage"
        )
    return queue


def study_name(study: Study) -> str:
    """The name in a shared storage, and of the folder."""
    return f"{study.name}-quick" if study.quick else study.name


def name_in(storage: optuna.storages.BaseStorage, study: Study) -> str:
    """The study's name in this storage; the journal of a folder holds one study, whatever its file was called."""
    there = optuna.get_all_study_names(storage) if isinstance(storage, optuna.storages.JournalStorage) else []
    return there[0] if there else study_name(study)


def work(study: Study, study_dir: Path, queue: Queue) -> None:
    """Take trials until there is none left.

    Raises:
        UserError: if the storage cannot be written to.
        SystemExit: with status 130 after Ctrl-C and 143 after SIGTERM; the place of the running trial comes back.
    """
    with Stops() as stops:
        while stops.status is None:
            try:
                if not take_one(study, study_dir, queue, stops):
                    return
            except Exception as error:
                if not (isinstance(error, OSError) or is_database_error(error)):
                    raise
                raise UserError(
                    f"cannot write to the study's storage ({error}): make room on the disk or start the storage again; "
                    "then the same command resumes"
                ) from error
            try:
                with stops.writing():
                    if is_due(study_dir):
                        write_results(study, study_dir, queue)
            except OSError as error:  # a full disk: the storage is right, and a later trial writes the table again
                print(f"results.csv could not be written: {error}", file=sys.stderr, flush=True)
        print("stopped: the same command resumes the study", file=sys.stderr)
        sys.exit(stops.status)


def take_one(study: Study, study_dir: Path, queue: Queue, stops: Stops) -> bool:
    """Take a trial, run it and store its result; False if none is left.

    Optuna's own `optimize` stores Ctrl-C as a failure, and turns a full disk into an AssertionError.
    """
    with stops.writing():
        taken = queue.take()
    if taken is None:
        return False
    place, trial = taken
    objective, error = None, ""
    try:
        try:
            objective = run_taken(study, study_dir, place, trial, stops)
            state = TrialState.COMPLETE
        except optuna.TrialPruned:
            state = TrialState.PRUNED
        except (AbandonedTrialError, UpdateFinishedTrialError):
            raise
        except Exception as failure:
            if is_database_error(failure):
                raise
            state, error = TrialState.FAIL, f"{type(failure).__name__}: {' '.join(str(failure).split())[:500]}"
        with stops.writing():
            if error:
                trial.set_user_attr("error", error)
            queue.end(trial, state, objective)
    except (KeyboardInterrupt, SystemExit) as stop:  # Ctrl-C, or the SIGTERM of a cluster, after a checkpoint
        code = getattr(stop, "code", None)
        stops.status = code if isinstance(code, int) and code in STATUSES else INTERRUPTED
        with stops.writing():
            queue.lose(trial, STOPPED)
    except (AbandonedTrialError, UpdateFinishedTrialError):
        print(
            "a trial of this worker had no heartbeat for too long and was taken from it: another worker resumes it",
            file=sys.stderr,
        )
    return True


def run_taken(study: Study, study_dir: Path, place: int, trial: Trial, stops: Stops) -> float:
    """Run the trial of a place, store its results and return its objective."""
    with Heartbeat(trial) as heartbeat:
        setting, seed = draw(study, place, trial)
        known = facts(trial)
        run_dir = run_dir_of(study_dir, place, setting, seed, known.get("retried", False))
        checkpoint = checkpointed_at(run_dir)
        attempts = count_attempts(known, checkpoint)
        begun = {"setting": setting, "seed": seed, "run_dir": str(run_dir.relative_to(study_dir))}
        begun |= {"attempts": attempts, "checkpointed_at": checkpoint, **first_beat()}
        trial.set_user_attr(RUN, begun)
        name = f"{place:04} {describe(setting)} seed={seed}"
        try:
            if attempts > MOST_ATTEMPTS:
                raise StaleTooOftenError(f"its worker died {MOST_ATTEMPTS} times at the same point")
            found = run_trial(study, run_dir, setting, seed, extra_callbacks(study, trial, heartbeat, stops))
        except AbandonedTrialError:
            raise
        except optuna.TrialPruned as hopeless:
            trial.set_user_attr("error", str(hopeless))
            trial.set_user_attr("alarms", alarms_of(run_dir))
            print(f"{name}: pruned, {hopeless}", flush=True)
            raise
        except Exception as error:
            print(f"{name}: failed, {type(error).__name__}: {error}", flush=True)
            if run_dir.is_dir() and not isinstance(error, OSError):  # which may be a full disk
                (run_dir / "error.txt").write_text(traceback.format_exc())
            raise
    trial.set_user_attr(RESULT, found)
    (run_dir / "error.txt").unlink(missing_ok=True)  # of an attempt that failed
    objective = float(found["metrics"][study.record[0]])
    print(f"{name}: {study.record[0]} {objective:.4g}, {found['seconds']:.0f} s", flush=True)
    return objective


def draw(study: Study, place: int, trial: Trial) -> tuple[Setting, int]:
    """The setting and the seed of the trial of a place."""
    if study.kind != "search":
        return study.planned[place]
    setting: Setting = {}
    for option, values in study.space.items():
        if "choices" in values:
            setting[option] = json.loads(trial.suggest_categorical(option, [json.dumps(c) for c in values["choices"]]))
        elif values.get("int"):
            setting[option] = trial.suggest_int(option, values["low"], values["high"], log=values.get("log", False))
        else:
            low, high = float(values["low"]), float(values["high"])
            setting[option] = trial.suggest_float(option, low, high, log=values.get("log", False))
    return setting, study.seeds[0]


def extra_callbacks(study: Study, trial: Trial, heartbeat: Heartbeat, stops: Stops) -> list[Any]:
    """Callbacks that end a run early. Imported here, because they import PyTorch, which takes seconds."""
    from lab.studies.pruning import PruneHopeless, StopIfAbandoned, StopIfAsked

    stopping = [StopIfAbandoned(heartbeat.abandoned), StopIfAsked(stops)]
    return stopping if study.pruner == "none" else [*stopping, PruneHopeless(trial, study.record[0])]


def check_size(study: Study, allow_large: bool) -> None:
    """Raise a UserError for a study so large that it is probably a mistake."""
    if study.num_trials > LARGEST and not allow_large:
        settings = study.num_trials // len(study.seeds)
        raise UserError(
            f"{study.name} has {study.num_trials:,} trials ({settings:,} settings, {len(study.seeds)} seeds): "
            "make the grid smaller, search with a number of trials, or say --allow_large"
        )
