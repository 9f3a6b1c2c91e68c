"""Starts a study: checks it, prepares its folder, runs the workers and prints a summary."""

import csv
import multiprocessing
import multiprocessing.connection
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from lab.compat.late_packages import import_packages_late
from lab.errors import TERMINATED, UserError
from lab.files import atomic_write
from lab.program import command_line
from lab.stops import STATUSES
from lab.studies import engine
from lab.studies.results import FILE, STATES, WAITING, write_results
from lab.studies.storage import without_password
from lab.studies.study_file import Study, describe
from lab.training.run_folder import make_folder
from lab.yaml_files import read_yaml

MOST_CHECKED = 200  # settings whose model is made before anything runs; of a larger study the first ones


def as_begun(study: Study, study_dir: Path) -> Study:
    """The study, with all repetitions of its file if its folder is from a version that tried each of them."""
    path = study_dir / "study.yaml"
    if study.repeated is None or not path.is_file():
        return study
    there = read_yaml(path)
    if not isinstance(there, dict) or differing(study.repeated, there):
        return study
    print(f"{study_dir} was begun with all of them, and goes on so", file=sys.stderr)
    return study.repeated


def differing(study: Study, there: dict[str, Any]) -> list[str]:
    """The keys in which a study.yaml is another study."""
    return [key for key, ours in study.as_dict().items() if there.get(key) != ours]


def prepare(study: Study, study_dir: Path, command: str) -> None:
    """Create the study's folder, or check that it is the folder of this study.

    Raises:
        UserError: if it belongs to another study, or holds other files.
    """
    path = study_dir / "study.yaml"
    if study_dir.exists() and not study_dir.is_dir():
        raise UserError(f"--study_dir {study_dir} is a file: give a folder that does not exist yet")
    if path.is_file():
        there = read_yaml(path)
        if not isinstance(there, dict):
            raise UserError(f"{path} holds no study: restore it, or choose another --study_dir")
        if keys := differing(study, there):
            raise UserError(
                f"{study_dir} holds another study, {there.get('title')!r} ({', '.join(keys)} differ): "
                "choose another --study_dir"
            )
        if there.get("claims", []) != list(study.claims):  # which change no trial
            write_study(path, {**there, "claims": list(study.claims)})
        return
    if study_dir.is_dir() and any(study_dir.iterdir()):
        raise UserError(f"--study_dir {study_dir} holds other files: give a folder that is empty or does not exist yet")
    make_folder(study_dir, f"--study_dir {study_dir}")
    packages = ("torch", "pytorch-lightning", "optuna")
    kept = {
        **study.as_dict(),
        "command": without_password(command),
        "versions": {name: version(name) for name in packages},
    }
    write_study(path, {**kept, "claims": list(study.claims)} if study.claims else kept)


def write_study(path: Path, kept: dict[str, Any]) -> None:
    """Write study.yaml."""
    with atomic_write(path) as unfinished:
        unfinished.write_text(yaml.safe_dump(kept, sort_keys=False, allow_unicode=True), encoding="utf-8")


def check_options(study: Study) -> None:
    """Build the model of each setting once, so that a wrong option fails before any training.

    Trials on several devices are refused: Lightning would start the study's command again for each further device.

    Raises:
        UserError: for the first setting that cannot be run.
    """
    from lab.training.plan import Plan

    settings = study.settings[:MOST_CHECKED] or [corner(study, end) for end in ("low", "high")]
    for setting in settings:
        try:
            plan = Plan(study.arguments(setting, study.seeds[0]))
            if setting == settings[0] and (reason := plan.why_unmeasured(study.record[0])):
                raise UserError(f"its objective is {study.record[0]}, which no fit would log: {reason}")
            trainer = plan.options.trainer
            for name in ("devices", "num_nodes"):
                if str(trainer[name]) != "1":
                    raise UserError(f"trainer.{name} is {trainer[name]}: a trial runs on one device; use more workers")
        except ValueError as mistake:
            tried = describe(setting) or "its base config"
            raise UserError(f"the study {study.name} cannot run {tried}: {mistake}") from mistake


def corner(study: Study, end: str) -> dict[str, Any]:
    """The lowest or the highest values of a search."""
    last = 0 if end == "low" else -1
    return {
        name: values["choices"][last] if "choices" in values else values[end] for name, values in study.space.items()
    }


def run_study(study: Study, study_dir: Path, workers: int, storage: str | None, retry: bool) -> int:
    """Run what is missing. Returns the exit status: 0 if every trial is complete or pruned, else 1."""
    queue = engine.open_queue(study, study_dir, storage)
    if retry:
        queue.retry_failed()
    write_results(study, study_dir, queue)
    try:
        if workers == 1:
            engine.work(study, study_dir, queue)
        else:
            in_processes(study, study_dir, workers, storage)
            while queue.look():  # trials of workers that were killed after the others had ended
                in_processes(study, study_dir, workers, storage)
    finally:
        rows = write_results(study, study_dir, queue)
    counts = Counter(row["state"] for row in rows)
    counted = ", ".join(f"{counts[state]} {state}" for state in (*STATES.values(), WAITING) if counts[state])
    print(f"study        {study_dir} ({counted})\nresults      {study_dir / FILE}")
    print(f"Try next:\n  {command_line('report', str(study_dir))}")
    if counts[WAITING]:
        print("a worker was stopped or killed: run the same command again for the waiting trials", file=sys.stderr)
    if counts["failed"]:
        print("the errors of failed trials are in results.csv; --retry_failed runs them again", file=sys.stderr)
    return 1 if counts[WAITING] or counts["failed"] else 0


def in_processes(study: Study, study_dir: Path, workers: int, storage: str | None) -> None:
    """Run `workers` processes with an equal share of the cores each and, where there are GPUs, one GPU each.

    A worker that fails is reported at once, and the others continue.

    Raises:
        SystemExit: with the status of workers that were asked to stop.
    """
    cores = max(1, (os.cpu_count() or 1) // workers)
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = before or str(cores)  # read when torch is imported, in the new process
    spawn = multiprocessing.get_context("spawn")  # a fork would share CUDA and locks
    gpus = visible_gpus()
    started: dict[Any, tuple[int, Any]] = {}  # by the handle that tells its end: number from 1 up, and process
    before_term = signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))  # `finally` ends the workers, too
    try:
        for number in range(1, workers + 1):
            gpu = gpus[(number - 1) % len(gpus)] if gpus else None
            process = spawn.Process(target=worker, args=(study, study_dir, storage, gpu))
            process.start()
            started[process.sentinel] = number, process
        running = dict(started)
        while running:
            for sentinel in multiprocessing.connection.wait(list(running)):
                number, process = running.pop(sentinel)
                process.join()
                if process.exitcode:
                    print(f"worker {number} of {workers} {how_it_ended(process.exitcode)}", file=sys.stderr, flush=True)
        for _, process in started.values():
            if process.exitcode in STATUSES:
                sys.exit(process.exitcode)
    finally:
        for _, process in started.values():
            process.terminate()  # its run writes a checkpoint, from which the next start resumes
        for _, process in started.values():
            process.join()
        signal.signal(signal.SIGTERM, before_term)
        if before is None:
            del os.environ["OMP_NUM_THREADS"]


def how_it_ended(exitcode: int) -> str:
    """Of a process that did not end well."""
    if exitcode < 0:
        return f"was killed by {signal.Signals(-exitcode).name}"
    return f"was {STATUSES[exitcode]}" if exitcode in STATUSES else f"ended with status {exitcode}"


def worker(study: Study, study_dir: Path, storage: str | None, gpu: str | None) -> None:
    """The work of one process."""
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu  # before torch is imported
    from lab.outcome import explained

    import_packages_late()
    with explained():
        engine.work(study, study_dir, engine.open_queue(study, study_dir, storage))


def visible_gpus() -> list[str]:
    """The GPUs of this machine that the process may use, found without importing torch."""
    if (chosen := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [gpu for gpu in chosen.split(",") if gpu.strip()]
    if shutil.which("nvidia-smi") is None:
        return []
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    return [str(index) for index, line in enumerate(listed.stdout.splitlines()) if line.startswith("GPU ")]


def dry_run(study: Study, study_dir: Path) -> None:
    """Print the trials, their numbers of parameters and an estimate of their time."""
    from lab.training.plan import Plan, seconds_of

    measured = mean_seconds(study_dir)
    if study.kind == "search":
        print(f"{study.trials} trials drawn by {study.sampler} from {', '.join(study.options)}")
        each = measured or seconds_of(study.arguments(corner(study, "low"), study.seeds[0]))
    else:
        for number, (setting, seed) in enumerate(study.planned):
            parameters = Plan(study.arguments(setting, seed)).parameters
            print(f"{number:04}  {parameters:>12,} parameters  {describe(setting)} seed={seed}")
        each = measured or seconds_of(study.arguments(*study.planned[0]))
    source = (
        f"the mean of the complete ones in {study_dir / FILE}"
        if measured
        else "from a few timed batches of the first setting, without validation and pictures"
    )
    print(
        f"{study.num_trials} trials, about {duration(each)} each and {duration(each * study.num_trials)} in all with "
        f"one worker: {source}"
    )


def mean_seconds(study_dir: Path) -> float | None:
    """Mean duration of the complete trials in results.csv; None if there are none."""
    path = study_dir / FILE
    if not path.is_file():
        return None
    with path.open(newline="", encoding="utf-8") as file:
        seconds = [float(row["seconds"]) for row in csv.DictReader(file) if row["state"] == "complete"]
    return sum(seconds) / len(seconds) if seconds else None


def duration(seconds: float) -> str:
    """`90 s`, `15 min` or `3.5 h`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
