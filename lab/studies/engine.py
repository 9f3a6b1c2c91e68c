"""Runs a study: Optuna stores the trials, and any number of worker processes take them from there.

A worker sends a heartbeat for its trial every few seconds. A trial whose worker is gone (killed, its machine taken
away) is requeued by the next worker that asks for one, and resumes from its last checkpoint. So a study can be killed
and started again at any time, on any number of machines; complete trials never run again.
"""

import csv
import json
import sys
import traceback
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.trial import Trial, TrialState

from lab.errors import INTERRUPTED, UserError
from lab.files import atomic_write
from lab.stops import STATUSES, Stops
from lab.studies.heartbeat import AbandonedTrialError, Heartbeat
from lab.studies.queue import (
    NUMBER,
    count_attempt,
    current_trials,
    next_trial,
    requeue_stale,
    requeue_stopped,
    trial_key,
)
from lab.studies.storage import open_storage
from lab.studies.study_file import LARGEST, Setting, Study, describe
from lab.studies.trial import alarms_of, checkpointed_at, run_dir_of, run_trial

STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.FAIL: "failed",
    TrialState.PRUNED: "pruned",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}


def open_study(study: Study, study_dir: Path, storage: optuna.storages.BaseStorage) -> optuna.Study:
    """Optuna's study in the storage, with every trial of a grid or a list enqueued."""
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
    finished = [trial for trial in current_trials(optuna_study).values() if trial.state is TrialState.COMPLETE]
    in_folder = isinstance(storage, optuna.storages.JournalStorage)
    if finished and not in_folder and not any((study_dir / trial.user_attrs["run_dir"]).is_dir() for trial in finished):
        raise UserError(
            f"the storage holds {len(finished)} complete trials of {optuna_study.study_name}, but {study_dir} has none "
            "of their runs: give the --study_dir that they are in, or another --storage"
        )
    if study.kind != "search":
        for number in sorted(set(range(len(study.planned))) - set(current_trials(optuna_study))):
            optuna_study.enqueue_trial({NUMBER: number})
    return optuna_study


def study_name(study: Study) -> str:
    """The name in a shared storage, and of the folder."""
    return f"{study.name}-quick" if study.quick else study.name


def name_in(storage: optuna.storages.BaseStorage, study: Study) -> str:
    """The study's name in this storage; the journal of a folder holds one study, whatever its file was called."""
    there = optuna.get_all_study_names(storage) if isinstance(storage, optuna.storages.JournalStorage) else []
    return there[0] if there else study_name(study)


def work(study: Study, study_dir: Path, storage_url: str | None) -> None:
    """Take trials until there is none left.

    Raises:
        UserError: if the storage cannot be written to.
        SystemExit: with status 130 after Ctrl-C and 143 after SIGTERM; the running trial is requeued first.
    """
    with Stops() as stops:
        optuna_study = open_study(study, study_dir, open_storage(storage_url, study_dir))
        while stops.status is None:
            try:
                if not take_one(study, study_dir, optuna_study, stops):
                    return
            except (OSError, StorageInternalError) as error:
                raise UserError(
                    f"cannot write to the study's storage ({error}): make room on the disk or start the storage again; "
                    "then the same command resumes"
                ) from error
            try:
                with stops.writing():
                    write_results(study, study_dir, optuna_study)
            except OSError as error:  # a full disk: the storage is right, and the next trial writes the table again
                print(f"results.csv could not be written: {error}", file=sys.stderr, flush=True)
        print("stopped: the same command resumes the study", file=sys.stderr)
        sys.exit(stops.status)


def take_one(study: Study, study_dir: Path, optuna_study: optuna.Study, stops: Stops) -> bool:
    """Take the next trial, run it and store its result; False if none is left.

    Optuna's own `optimize` stores Ctrl-C as a failure, and turns a full disk into an AssertionError.
    """
    with stops.writing():
        requeue_stale(optuna_study)
        trial = next_trial(optuna_study, study.trials if study.kind == "search" else None)
    if trial is None:
        return False
    objective, error = None, ""
    try:
        try:
            objective = take(study, study_dir, optuna_study, trial, stops)
            state = TrialState.COMPLETE
        except optuna.TrialPruned:
            state = TrialState.PRUNED
        except (AbandonedTrialError, UpdateFinishedTrialError):
            raise
        except Exception as failure:
            state, error = TrialState.FAIL, f"{type(failure).__name__}: {' '.join(str(failure).split())[:500]}"
        with stops.writing():
            if error:
                trial.set_user_attr("error", error)
            optuna_study.tell(trial, objective, state)
    except (KeyboardInterrupt, SystemExit) as stop:  # Ctrl-C, or the SIGTERM of a cluster, after a checkpoint
        code = getattr(stop, "code", None)
        stops.status = code if isinstance(code, int) and code in STATUSES else INTERRUPTED
        with stops.writing():
            requeue_stopped(optuna_study, trial)
    except (AbandonedTrialError, UpdateFinishedTrialError):
        print(
            "a trial of this worker had no heartbeat for too long and was requeued: another worker resumes it",
            file=sys.stderr,
        )
    return True


def take(study: Study, study_dir: Path, optuna_study: optuna.Study, trial: Trial, stops: Stops) -> float:
    """Run one trial, store its results and return its objective."""
    number = trial_key(optuna_study.get_trials(deepcopy=False)[trial.number])
    if study.kind == "search" and sum(other < number for other in current_trials(optuna_study)) >= study.trials:
        trial.set_user_attr("void", True)  # one too many: other workers drew the last ones at the same time
        raise optuna.TrialPruned
    with Heartbeat(trial) as heartbeat:
        setting, seed = draw(study, trial)
        run_dir = run_dir_of(study_dir, number, setting, seed, trial.user_attrs.get("retried", False))
        for key, value in (("setting", setting), ("seed", seed), ("run_dir", str(run_dir.relative_to(study_dir)))):
            trial.set_user_attr(key, value)
        name = f"{number:04} {describe(setting)} seed={seed}"
        try:
            count_attempt(trial, checkpointed_at(run_dir))
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
    for key, value in found.items():
        trial.set_user_attr(key, value)
    (run_dir / "error.txt").unlink(missing_ok=True)  # of an attempt that failed
    objective = float(found["metrics"][study.record[0]])
    print(f"{name}: {study.record[0]} {objective:.4g}, {found['seconds']:.0f} s", flush=True)
    return objective


def draw(study: Study, trial: Trial) -> tuple[Setting, int]:
    """The setting and the seed of a trial."""
    if study.kind != "search":
        planned = study.planned
        return planned[trial.suggest_int(NUMBER, 0, len(planned) - 1)]
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


def rows_of(study: Study, optuna_study: optuna.Study) -> list[dict[str, Any]]:
    """A row of results.csv for each trial, in the order of the plan."""
    rows = []
    for key, trial in sorted(current_trials(optuna_study).items()):
        kept = trial.user_attrs
        if study.kind != "search":
            setting, seed = study.planned[key]
        else:
            setting, seed = kept.get("setting", {}), kept.get("seed", study.seeds[0])
        metrics = kept.get("metrics", {})
        rows.append(
            {
                **{"trial": key, "state": STATES[trial.state], "run_dir": kept.get("run_dir", ""), "seed": seed},
                **{option: as_cell(setting, option) for option in study.options},
                **{name: metrics.get(name, "") for name in study.record},
                **{name: kept.get(name, "") for name in ("parameters", "seconds", "alarms", "error")},
            }
        )
    return rows


def as_cell(setting: Setting, option: str) -> Any:
    """An option's value in results.csv: empty where a setting of a list does not set it."""
    return "null" if setting.get(option, "") is None else setting.get(option, "")


def write_results(study: Study, study_dir: Path, optuna_study: optuna.Study) -> list[dict[str, Any]]:
    """Write results.csv anew from the storage, and return its rows."""
    rows = rows_of(study, optuna_study)
    columns = ["trial", "state", "run_dir", "seed", *study.options, *study.record]
    columns += ["parameters", "seconds", "alarms", "error"]
    with atomic_write(study_dir / "results.csv") as path, path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    return rows


def check_size(study: Study, allow_large: bool) -> None:
    """Raise a UserError for a study so large that it is probably a mistake."""
    if study.num_trials > LARGEST and not allow_large:
        settings = study.num_trials // len(study.seeds)
        raise UserError(
            f"{study.name} has {study.num_trials:,} trials ({settings:,} settings, {len(study.seeds)} seeds): "
            "make the grid smaller, search with a number of trials, or say --allow_large"
        )
