"""results.csv: a row for each trial of a study."""

import csv
import os
import time
from pathlib import Path
from typing import Any

from optuna.trial import TrialState

from lab.files import atomic_write
from lab.studies.heartbeat import facts
from lab.studies.queue import Queue
from lab.studies.study_file import Setting, Study

FILE = "results.csv"
WAITING = "waiting"
STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.FAIL: "failed",
    TrialState.PRUNED: "pruned",
    TrialState.RUNNING: "running",
}
WRITE_SECONDS = 10.0  # between two tables while a study runs, whoever of its workers writes them


def rows_of(study: Study, queue: Queue) -> list[dict[str, Any]]:
    """A row for each trial, in the order of the plan, as the queue knows them."""
    rows = []
    for place in sorted(queue.places) if study.kind == "search" else range(queue.size):
        current, attempts = queue.current(place), queue.attempts(place)
        known = facts(current or attempts[-1]) if current or attempts else {}
        if study.kind == "search":
            setting, seed = known.get("setting", {}), known.get("seed", study.seeds[0])
        else:
            setting, seed = study.planned[place]
        metrics = known.get("metrics", {})
        state = WAITING if current is None else STATES[current.state]
        rows.append(
            {
                **{"trial": place, "state": state, "run_dir": known.get("run_dir", ""), "seed": seed},
                **{option: as_cell(setting, option) for option in study.options},
                **{name: metrics.get(name, "") for name in study.record},
                **{name: known.get(name, "") for name in ("parameters", "seconds", "alarms", "error")},
            }
        )
    return rows


def as_cell(setting: Setting, option: str) -> Any:
    """An option's value in results.csv: empty where a setting of a list does not set it."""
    return "null" if setting.get(option, "") is None else setting.get(option, "")


def write_results(study: Study, study_dir: Path, queue: Queue) -> list[dict[str, Any]]:
    """Write results.csv anew from the storage, and return its rows."""
    queue.read()
    rows = rows_of(study, queue)
    columns = ["trial", "state", "run_dir", "seed", *study.options, *study.record]
    columns += ["parameters", "seconds", "alarms", "error"]
    with atomic_write(study_dir / FILE) as path, path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    return rows


def is_due(study_dir: Path) -> bool:
    """Whether results.csv is older than WRITE_SECONDS; from then on it counts as new, so that one worker writes it."""
    path = study_dir / FILE
    try:
        if time.time() - path.stat().st_mtime <= WRITE_SECONDS:
            return False
        os.utime(path)
    except FileNotFoundError:
        pass
    return True
