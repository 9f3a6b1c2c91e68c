"""Running a study: Optuna keeps the books, any number of processes take trials from them.

A process that works on a trial signs it every few seconds. A trial whose process is gone (killed, its machine taken
away) is given up and put back by whoever looks next, and goes on from its last checkpoint. So a study can be killed and
started again at will, from any number of machines: what is complete is never run again.
"""

import csv
import os
import socket
import threading
import time
import traceback
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from studies.study_file import LARGEST, Setting, Study, describe
from studies.trial import run_dir_of, run_trial

SIGN_SECONDS = 10.0
LOST_SECONDS = 120.0  # without a sign: long enough for a machine that is busy or whose clock is off by a minute
MOST_ATTEMPTS = 3
STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.FAIL: "failed",
    TrialState.PRUNED: "pruned",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}
NUMBER = "number"  # the parameter of a grid's or a list's trial: its place in `study.planned`


def open_storage(url: str | None, study_dir: Path) -> optuna.storages.BaseStorage:
    """The journal in the study's folder, a database, or Optuna's gRPC proxy.

    Raises:
        ConnectionError: if it cannot be reached.
    """
    if url is None:
        from optuna.storages.journal import JournalFileBackend

        return optuna.storages.JournalStorage(JournalFileBackend(str(study_dir / "journal.log")))
    try:
        if url.startswith("grpc://"):
            host, _, port = url.removeprefix("grpc://").partition(":")
            proxy = optuna.storages.GrpcStorageProxy(host=host, port=int(port or 13000))
            proxy.wait_server_ready(timeout=20)
            return proxy
        return optuna.storages.RDBStorage(url, engine_kwargs={"pool_pre_ping": True})
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ConnectionError(
            f"the storage {url} cannot be used ({reason[:200]}): start it, correct its address (such as "
            "postgresql+psycopg://user:password@host/database or grpc://host:13000), or leave --storage out"
        ) from error


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
        study_name=study_name(study),
        direction=study.direction,
        sampler=samplers[study.sampler](),
        pruner=pruners[study.pruner](),
        load_if_exists=True,
    )
    there = books.user_attrs.get("study")
    if there is None:
        books.set_user_attr("study", study.as_dict())
    elif there != study.as_dict():
        raise ValueError(
            f"the storage already holds another study of the name {books.study_name} ({there.get('title')}): "
            "rename the study's file, or use another storage"
        )
    if study.kind != "search":
        for number in sorted(set(range(len(study.planned))) - set(standing(books))):
            books.enqueue_trial({NUMBER: number})
    return books


def study_name(study: Study) -> str:
    """The name in a shared storage."""
    return f"{study.name}-quick" if study.quick else study.name


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


def work(study: Study, study_dir: Path, storage_url: str | None) -> None:
    """Take trials until there is none left."""
    books = open_books(study, study_dir, open_storage(storage_url, study_dir))
    while True:
        put_back_lost(books)
        if not has_work(study, books):
            return
        books.optimize(lambda trial: take(study, study_dir, books, trial), n_trials=1, catch=(Exception,))
        try:
            write_results(study, study_dir, books)
        except OSError as error:  # a full disk: the books are right, and the next one writes the table again
            print(f"results.csv could not be written: {error}", flush=True)


def has_work(study: Study, books: optuna.Study) -> bool:
    """Whether a trial is waiting or, in a search, still to be drawn."""
    trials = standing(books)
    if any(trial.state is TrialState.WAITING for trial in trials.values()):
        return True
    return study.kind == "search" and len(trials) < study.trials


def take(study: Study, study_dir: Path, books: optuna.Study, trial: Trial) -> float:
    """Run one trial and keep what came out in the books; its objective."""
    if is_taken(study, books, trial):
        trial.set_user_attr("void", True)
        raise optuna.TrialPruned
    setting, seed = draw(study, trial)
    number = trial_key(books.get_trials(deepcopy=False)[trial.number])
    run_dir = run_dir_of(study_dir, number, setting, seed)
    for name, value in (("setting", setting), ("seed", seed), ("run_dir", str(run_dir.relative_to(study_dir)))):
        trial.set_user_attr(name, value)
    name = f"{number:04} {describe(setting)} seed={seed}"
    with signing(trial):
        try:
            found = run_trial(study, run_dir, setting, seed, [pruning(trial, study.record[0])] if prunes(study) else [])
        except optuna.TrialPruned as hopeless:
            trial.set_user_attr("error", str(hopeless))
            print(f"{name}: pruned, {hopeless}", flush=True)
            raise
        except Exception as error:
            told = f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"
            trial.set_user_attr("error", told)
            print(f"{name}: failed, {told}", flush=True)
            if run_dir.is_dir():
                (run_dir / "error.txt").write_text(traceback.format_exc())
            raise
    for key, value in found.items():
        trial.set_user_attr(key, value)
    objective = float(found["metrics"][study.record[0]])
    print(f"{name}: {study.record[0]} {objective:.4g}, {found['seconds']:.0f} s", flush=True)
    return objective


def is_taken(study: Study, books: optuna.Study, trial: Trial) -> bool:
    """Whether this trial is one too many: it was drawn where none waited, or two starts put the same one in."""
    frozen = books.get_trials(deepcopy=False)[trial.number]
    key = trial_key(frozen)
    if study.kind == "search":
        return len(set(standing(books)) - {key}) >= study.trials
    if NUMBER not in frozen.system_attrs.get("fixed_params", {}):
        return True
    counts = standing(books).get(key)
    alive = (TrialState.COMPLETE, TrialState.RUNNING, TrialState.PRUNED)
    if counts is not None and counts.number != trial.number and counts.state in alive:
        return counts.number < trial.number or counts.state is not TrialState.RUNNING
    return False


def draw(study: Study, trial: Trial) -> tuple[Setting, int]:
    """The setting and the seed of a trial."""
    if study.kind != "search":
        planned = study.planned
        return planned[trial.suggest_int(NUMBER, 0, len(planned) - 1)]
    setting: Setting = {}
    for option, values in study.space.items():
        if "choices" in values:
            setting[option] = trial.suggest_categorical(option, values["choices"])
        elif values.get("int"):
            setting[option] = trial.suggest_int(option, values["low"], values["high"], log=values.get("log", False))
        else:
            low, high = float(values["low"]), float(values["high"])
            setting[option] = trial.suggest_float(option, low, high, log=values.get("log", False))
    return setting, study.seeds[0]


def prunes(study: Study) -> bool:
    """Whether hopeless trials are stopped."""
    return study.pruner != "none"


def pruning(trial: Trial, metric: str) -> Any:
    """The callback that tells Optuna how a run goes, and stops it where that is hopeless."""
    from studies.pruning import StopHopeless

    return StopHopeless(trial, metric)


class signing:  # noqa: N801
    """While inside, a thread signs the trial, so that others see that somebody works on it."""

    def __init__(self, trial: Trial) -> None:
        self.trial, self.ended = trial, threading.Event()
        self.thread = threading.Thread(target=self.sign, daemon=True)

    def sign(self) -> None:
        """Sign until the end; a storage that is away for a moment is tried again."""
        while not self.ended.wait(SIGN_SECONDS):
            try:
                self.trial.set_user_attr("signed", time.time())
            except Exception as error:
                print(f"the study's storage did not answer ({error}); trying again")

    def __enter__(self) -> None:
        self.trial.set_user_attr("worker", worker_name())
        self.trial.set_user_attr("signed", time.time())
        self.thread.start()

    def __exit__(self, *args: Any) -> None:
        self.ended.set()
        self.thread.join()


def worker_name() -> str:
    """This process, told apart from another one that later gets the same number."""
    return f"{socket.gethostname()}:{os.getpid()}:{started(os.getpid())}"


def started(pid: int) -> str:
    """When a process of this machine began, or nothing where that is not known or there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def is_lost(trial: FrozenTrial) -> bool:
    """Whether nobody works on a running trial any more."""
    worker, signed = trial.user_attrs.get("worker"), trial.user_attrs.get("signed")
    if worker is None or signed is None:  # taken just now, or killed before it signed
        begun = trial.datetime_start
        return begun is not None and (datetime.now() - begun).total_seconds() > LOST_SECONDS
    host, pid, begun_at = str(worker).rsplit(":", 2)
    if host == socket.gethostname() and begun_at:
        return started(int(pid)) != begun_at
    return time.time() - float(signed) > LOST_SECONDS


def put_back_lost(books: optuna.Study) -> None:
    """Give up running trials whose process is gone, and let them be taken again."""
    for trial in books.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if not is_lost(trial):
            continue
        attempts = trial.user_attrs.get("attempts", 1)
        again = attempts < MOST_ATTEMPTS
        mark = ("lost", True) if again else ("error", f"its process was lost {attempts} times")
        try:
            books._storage.set_trial_user_attr(trial._trial_id, *mark)
            books.tell(trial.number, state=TrialState.FAIL)
        except (ValueError, RuntimeError):  # somebody else was faster
            continue
        if again:
            put_in(books, trial, attempts + 1)


def put_in(books: optuna.Study, trial: FrozenTrial, attempts: int) -> None:
    """Let a trial be taken again."""
    params = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
    attributes = {"attempts": attempts} if NUMBER in params else {"attempts": attempts, "replaces": trial_key(trial)}
    books.enqueue_trial(params, user_attrs=attributes)


def retry_failed(books: optuna.Study) -> None:
    """Let failed trials be taken again."""
    for trial in standing(books).values():
        if trial.state is TrialState.FAIL:
            put_in(books, trial, 1)


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
                **{option: setting.get(option, "") for option in study.options},
                **{name: metrics.get(name, "") for name in study.record},
                **{name: kept.get(name, "") for name in ("parameters", "seconds", "alarms", "error")},
            }
        )
    return rows


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
    """Raise ValueError for a study that can hardly be meant."""
    if study.num_trials > LARGEST and not allow_large:
        raise ValueError(
            f"the study {study.name} has {study.num_trials:,} trials ({len(study.settings):,} settings, "
            f"{len(study.seeds)} seeds): make the grid smaller, search with a number of trials, or say --allow_large"
        )
