"""A study of 10,000 trials of 0 s with 32 workers on a PostgreSQL server of this machine.

    python -m benchmarks.study_scale [--trials 10000] [--workers 32] [--storage URL]

Nothing is trained: what is measured is the queue. The workers are those of `python cli.py study`, forked so that their
imports do not count; a tenth of them is killed on the way and replaced, and at the end every trial must be there once.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from optuna.trial import TrialState
from sqlalchemy import create_engine, text

from lab.studies import engine
from lab.studies.heartbeat import facts
from lab.studies.queue import Queue
from lab.studies.results import write_results
from lab.studies.study_file import Study, read_study
from tests.cluster.postgresql import server

LAST = 500  # trials that are left over, so that every worker has one to the end
STUDY = """
title: Nothing is trained
base: configs/classifier/digits.yaml
grid: {{model.l2: [{values}]}}
seeds: {seeds}
record: val/accuracy
"""


def plan(folder: Path, trials: int) -> Study:
    """A study of about that many trials: some settings with ten seeds each."""
    path = folder / "scale.yaml"
    path.write_text(STUDY.format(values=", ".join(map(str, range(max(1, trials // 10)))), seeds=list(range(10))))
    return read_study(path)


def result(study: Study, run_dir: Path, *args: Any) -> dict[str, Any]:
    """What a trial that trains nothing leaves."""
    run_dir.mkdir(parents=True)
    return {
        "run_dir": f"trials/{run_dir.name}",
        "metrics": {"val/accuracy": 0.5},
        "parameters": 1,
        "seconds": 0.0,
        "alarms": "",
    }


def cpu(who: int = resource.RUSAGE_SELF) -> float:
    """CPU seconds of this process, or of its children that have ended."""
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def server_cpu(url: str) -> float:
    """CPU seconds of the PostgreSQL server of this machine, with all processes that it has had."""
    engine = create_engine(url)
    with engine.connect() as connection:
        parent = fields_of(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())[1]
    engine.dispose()
    stats = [fields for path in Path("/proc").glob("[0-9]*") if (fields := fields_of(path.name))]
    ticks = sum(sum(map(int, fields[11:13])) for fields in stats if fields[1] == parent)
    return (ticks + sum(map(int, fields_of(parent)[11:15]))) / os.sysconf("SC_CLK_TCK")


def fields_of(pid: str | int) -> list[str]:
    """Of /proc/PID/stat, from the state on; none for a process that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


@contextmanager
def nothing_is_trained() -> Iterator[None]:
    """Within the context, trials take no time, print nothing and import no PyTorch."""
    before = engine.run_trial, engine.extra_callbacks
    engine.run_trial, engine.extra_callbacks = result, lambda *args: []
    try:
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            yield
    finally:
        engine.run_trial, engine.extra_callbacks = before


def one_by_one(study: Study, folder: Path, url: str, most: int) -> dict[str, float]:
    """Up to `most` trials in this process; what it costs to begin, and then a trial."""
    walls, cpus = [time.perf_counter()], [cpu()]
    with nothing_is_trained(), engine.Stops() as stops:
        queue = engine.open_queue(study, folder, url)
        while len(walls) <= most and engine.take_one(study, folder, queue, stops):
            walls.append(time.perf_counter())
            cpus.append(cpu())
    trials = len(walls) - 2
    return {
        **{"trials": trials, "first_s": round(walls[1] - walls[0], 2), "first_cpu_s": round(cpus[1] - cpus[0], 2)},
        **{"s_a_trial": round((walls[-1] - walls[1]) / trials, 4)},
        **{"cpu_s_a_trial": round((cpus[-1] - cpus[1]) / trials, 4)},
    }


def worker(study: Study, folder: Path, url: str) -> None:
    """One worker process."""
    with nothing_is_trained():
        engine.work(study, folder, engine.open_queue(study, folder, url))


def together(study: Study, folder: Path, url: str, workers: int) -> dict[str, float]:
    """All but the last trials with many workers, of which a tenth is killed and replaced on the way."""
    fork = multiprocessing.get_context("fork")

    def start() -> Any:
        process = fork.Process(target=worker, args=(study, folder, url))
        process.start()
        return process

    queue = engine.open_queue(study, folder, url)
    before, children, server_before = ended(queue), cpu(resource.RUSAGE_CHILDREN), server_cpu(url)
    begun = time.perf_counter()
    processes = [start() for _ in range(workers)]
    killed = 0
    try:
        while (done := ended(queue)) < study.num_trials - LAST:
            if killed < workers // 10 and done > study.num_trials * (killed + 1) / (workers // 10 + 1):
                processes[killed].kill()
                processes.append(start())
                killed += 1
            assert sum(process.is_alive() for process in processes) >= workers, "a worker has ended by itself"
            time.sleep(0.5)
        seconds, trials = time.perf_counter() - begun, ended(queue) - before
    finally:
        for process in processes:
            process.terminate()  # as a cluster does
        for process in processes:
            process.join()
    used, server_used = cpu(resource.RUSAGE_CHILDREN) - children, server_cpu(url) - server_before
    lost = sum("lost" in trial.user_attrs for trial in queue.trials)
    return {
        **{"workers": workers, "killed": killed, "trials_lost_and_replaced": lost, "seconds": round(seconds, 1)},
        **{"trials_per_s": round(trials / seconds, 1), "cpu_s_a_trial": round(used / trials, 4)},
        **{"server_cpu_s_a_trial": round(server_used / trials, 4)},
        **{"trials_per_cpu_s": round(trials / (used + server_used), 1)},
    }


def ended(queue: Queue) -> int:
    """How many places have a result."""
    queue.read()
    return len(queue.places) - len(queue.unsettled)


def check(study: Study, folder: Path, queue: Queue) -> None:
    """Every place is complete once, with its own setting, and the table says so."""
    rows = write_results(study, folder, queue)
    assert [row["trial"] for row in rows] == list(range(study.num_trials))
    assert Counter(row["state"] for row in rows) == {"complete": study.num_trials}
    complete = [trial for trial in queue.trials if trial.state is TrialState.COMPLETE]
    assert len(complete) == study.num_trials
    for trial in complete:
        assert (facts(trial)["setting"], facts(trial)["seed"]) == study.planned[queue.place_of[trial.number]]


def measure(url: str, trials: int, workers: int) -> dict[str, Any]:
    """All numbers, in the order in which they are measured."""
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        study = plan(folder, trials)
        first = one_by_one(study, folder, url, 50)
        many = together(study, folder, url, workers)
        last = one_by_one(study, folder, url, trials)
        check(study, folder, engine.open_queue(study, folder, url))
    return {
        "load_before_and_after": [before, os.getloadavg()[0]],
        "trials": study.num_trials,
        "begin": first,
        "together": many,
        "end": last,
    }


def main() -> None:
    """Measure, and print what was found as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=32)
    parser.add_argument("--storage", metavar="URL", help="an empty database; by default one is made")
    given = parser.parse_args()
    with contextlib.nullcontext(given.storage) if given.storage else server("fsync=on") as url:
        print(json.dumps(measure(url, given.trials, given.workers), indent=2))


if __name__ == "__main__":
    main()
