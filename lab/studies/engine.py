"""Running a study: Optuna keeps the books, any number of processes take trials from them.

A process that works on a trial signs it every few seconds. A trial whose process is gone (killed, its machine taken
away) is given up and put back by whoever looks next, and goes on from its last checkpoint. So a study can be killed and
started again at will, from any number of machines: what is complete is never run again.
"""

import csv
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.trial import Trial, TrialState

from lab.errors import INTERRUPTED, TERMINATED, UserError
from lab.studies.heartbeat import GivenUpError, signing
from lab.studies.queue import (
    NUMBER,
    count_attempt,
    next_trial,
    put_back_lost,
    put_back_stopped,
    standing,
    trial_key,
)
from lab.studies.storage import open_storage
from lab.studies.study_file import LARGEST, Setting, Study, describe
from lab.studies.trial import alarms_of, checkpointed_at, run_dir_of, run_trial
from lab.training.stops import Stops

STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.FAIL: "failed",
    TrialState.PRUNED: "pruned",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}


def open_books(study: Study, study_dir: Path, storage: optuna.storages.BaseStorage) -> optuna.Study:
    """Optuna's study, with all trials of a grid or a list waiting in it."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # each trial says itself what became of it
    samplers = {"tpe": optuna.samplers.TPESampler, "random": optuna.samplers.RandomSampler}
    pruners: dict[str, Any] = {
        "none": optuna.pruners.NopPruner,
        "median": optuna.pruners.MedianPruner,
        "asha": optuna.pruners.SuccessiveHalvingPruner,
    }
    books = optuna.create_study(
        storage=storage,
        study_name=name_in(storage, study),
        direction=study.direction,
        sampler=samplers[study.sampler](),
        pruner=pruners[study.pruner](),
        load_if_exists=True,
    )
    there = books.user_attrs.get("study")
    if there is None:
        books.set_user_attr("study", study.as_dict())
    elif there != study.as_dict():
        raise UserError(
            f"the storage already holds another study of the name {books.study_name} ({there.get('title')}): "
            "rename the study's file, or use another storage"
        )
    finished = [trial for trial in standing(books).values() if trial.state is TrialState.COMPLETE]
    in_folder = isinstance(storage, optuna.storages.JournalStorage)
    if finished and not in_folder and not any((study_dir / trial.user_attrs["run_dir"]).is_dir() for trial in finished):
        raise UserError(
            f"the storage holds {len(finished)} complete trials of {books.study_name}, but {study_dir} has none of "
            "their runs: give the --study_dir that they are in, or another --storage"
        )
    if study.kind != "search":
        for number in sorted(set(range(len(study.planned))) - set(standing(books))):
            books.enqueue_trial({NUMBER: number})
    return books


def study_name(study: Study) -> str:
    """The name in a shared storage, and of the folder."""
    return f"{study.name}-quick" if study.quick else study.name


def name_in(storage: optuna.storages.BaseStorage, study: Study) -> str:
    """The name in this storage: a folder's own journal holds one study, whatever its file was called."""
    there = optuna.get_all_study_names(storage) if isinstance(storage, optuna.storages.JournalStorage) else []
    return there[0] if there else study_name(study)


def work(study: Study, study_dir: Path, storage_url: str | None) -> None:
    """Take trials until there is none left.

    Raises:
        UserError: if the books cannot be kept any more.
        SystemExit: with status 130 after Ctrl-C and 143 after SIGTERM; the trial that was under way is put back.
    """
    with Stops() as stops:
        books = open_books(study, study_dir, open_storage(storage_url, study_dir))
        while stops.status is None:
            try:
                if not take_one(study, study_dir, books, stops):
                    return
            except (OSError, StorageInternalError) as error:
                raise UserError(
                    f"cannot write to the study's storage ({error}): make room on the disk or start the storage again; "
                    "then the same command resumes"
                ) from error
            try:
                with stops.writing():
                    write_results(study, study_dir, books)
            except OSError as error:  # a full disk: the books are right, and the next one writes the table again
                print(f"results.csv could not be written: {error}", file=sys.stderr, flush=True)
        print("stopped: the same command goes on", file=sys.stderr)
        sys.exit(stops.status)


def take_one(study: Study, study_dir: Path, books: optuna.Study, stops: Stops) -> bool:
    """Take the next trial, run it and book what became of it; False if none is left.

    Optuna's own `optimize` books a Ctrl-C as a failure, and turns a full disk into an AssertionError.
    """
    with stops.writing():
        put_back_lost(books)
        trial = next_trial(books, study.trials if study.kind == "search" else None)
    if trial is None:
        return False
    objective, error = None, ""
    try:
        try:
            objective = take(study, study_dir, books, trial, stops)
            state = TrialState.COMPLETE
        except optuna.TrialPruned:
            state = TrialState.PRUNED
        except (GivenUpError, UpdateFinishedTrialError):
            raise
        except Exception as failure:
            state, error = TrialState.FAIL, f"{type(failure).__name__}: {' '.join(str(failure).split())[:500]}"
        with stops.writing():
            if error:
                trial.set_user_attr("error", error)
            books.tell(trial, objective, state)
    except (KeyboardInterrupt, SystemExit) as stop:  # Ctrl-C, or the SIGTERM of a cluster, after a checkpoint
        stops.status = TERMINATED if isinstance(stop, SystemExit) and stop.code == TERMINATED else INTERRUPTED
        with stops.writing():
            put_back_stopped(books, trial)
    except (GivenUpError, UpdateFinishedTrialError):
        print("a trial of this worker was taken for lost and put back: others go on with it", file=sys.stderr)
    return True


def take(study: Study, study_dir: Path, books: optuna.Study, trial: Trial, stops: Stops) -> float:
    """Run one trial and keep what came out in the books; its objective."""
    number = trial_key(books.get_trials(deepcopy=False)[trial.number])
    if study.kind == "search" and sum(other < number for other in standing(books)) >= study.trials:
        trial.set_user_attr("void", True)  # one too many: others drew the last ones at the same moment
        raise optuna.TrialPruned
    with signing(trial) as signs:
        setting, seed = draw(study, trial)
        run_dir = run_dir_of(study_dir, number, setting, seed, trial.user_attrs.get("retried", False))
        for key, value in (("setting", setting), ("seed", seed), ("run_dir", str(run_dir.relative_to(study_dir)))):
            trial.set_user_attr(key, value)
        name = f"{number:04} {describe(setting)} seed={seed}"
        try:
            count_attempt(trial, checkpointed_at(run_dir))
            found = run_trial(study, run_dir, setting, seed, extra_callbacks(study, trial, signs, stops))
        except GivenUpError:
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


def extra_callbacks(study: Study, trial: Trial, signs: signing, stops: Stops) -> list[Any]:
    """The callbacks that end a run which need not go on; their import takes torch's six seconds."""
    from lab.studies.pruning import StopGivenUp, StopHopeless, StopWhenTold

    stopping = [StopGivenUp(signs.given_up), StopWhenTold(stops)]
    return stopping if study.pruner == "none" else [*stopping, StopHopeless(trial, study.record[0])]


def rows_of(study: Study, books: optuna.Study) -> list[dict[str, Any]]:
    """A row of results.csv for each trial, in the order of the plan."""
    rows = []
    for key, trial in sorted(standing(books).items()):
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
    """An option's value in results.csv: empty where a setting of a list leaves the option alone."""
    return "null" if setting.get(option, "") is None else setting.get(option, "")


def write_results(study: Study, study_dir: Path, books: optuna.Study) -> list[dict[str, Any]]:
    """results.csv, made anew from the books: nothing stands in it twice."""
    rows = rows_of(study, books)
    columns = ["trial", "state", "run_dir", "seed", *study.options, *study.record]
    columns += ["parameters", "seconds", "alarms", "error"]
    part = study_dir / f".results-{os.getpid()}.part"
    with part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    part.replace(study_dir / "results.csv")
    return rows


def check_size(study: Study, allow_large: bool) -> None:
    """Raise a UserError for a study that can hardly be meant."""
    if study.num_trials > LARGEST and not allow_large:
        settings = study.num_trials // len(study.seeds)
        raise UserError(
            f"{study.name} has {study.num_trials:,} trials ({settings:,} settings, {len(study.seeds)} seeds): "
            "make the grid smaller, search with a number of trials, or say --allow_large"
        )
