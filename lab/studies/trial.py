"""One trial of a study: a normal run, in a process that may have run others before."""

import contextlib
import glob
import json
import math
import os
import re
import sys
from itertools import count
from pathlib import Path
from typing import Any

from optuna import TrialPruned

from lab.errors import UserError
from lab.stops import STATUSES
from lab.studies.study_file import Setting, Study, describe


class MissingMetricError(ValueError):
    """A run did not log the study's objective."""


def run_dir_of(study_dir: Path, number: int, setting: Setting, seed: int, retried: bool = False) -> Path:
    """The run folder of a trial: `trials/0007-latent_dim=50-seed=1`, or the same with `-attempt2`, `-attempt3`, ...

    A run with a checkpoint is resumed in its folder, and one that has ended is reused, unless the trial failed and is
    `retried`; any other attempt gets a new folder. A checkpoint that cannot be opened is set aside first.
    """
    words = re.sub(r"[^\w.=+-]+", "-", describe(setting)).strip("-")[:80]
    path = study_dir / "trials" / f"{number:04}-{words}-seed={seed}"
    attempt, last, candidate = 1, None, path
    while candidate.exists():
        attempt, last = attempt + 1, candidate
        candidate = path.with_name(f"{path.name}-attempt{attempt}")
    if last is not None:
        set_aside_if_broken(last)
    continues = last is not None and (can_resume(last) or (has_ended(last) and not retried))
    return last if last is not None and continues else candidate


def can_resume(run_dir: Path) -> bool:
    """Whether a run left a checkpoint before its end."""
    return (run_dir / "checkpoints" / "last.ckpt").is_file() and not has_ended(run_dir)


def set_aside_if_broken(run_dir: Path) -> None:
    """Rename the checkpoint that a trial would be resumed from if it cannot be opened, and say so."""
    if not can_resume(run_dir):
        return
    from lab.training.checkpoints import read_checkpoint

    path = run_dir / "checkpoints" / "last.ckpt"
    try:
        read_checkpoint(str(path), every_byte=True)
    except UserError as error:
        aside = next(name for n in count(1) if not (name := path.with_name(f"last.ckpt.broken-{n}")).exists())
        path.rename(aside)
        print(f"{run_dir.name}: starts anew, and {path.name} is now {aside.name}: {error}", file=sys.stderr, flush=True)


def has_ended(run_dir: Path) -> bool:
    """Whether a run reached its end."""
    return (run_dir / "summary.json").exists()


def checkpointed_at(run_dir: Path) -> int | None:
    """The time of the run's last checkpoint, in ns; None if it has none."""
    path = run_dir / "checkpoints" / "last.ckpt"
    return path.stat().st_mtime_ns if path.is_file() else None


def run_trial(study: Study, run_dir: Path, setting: Setting, seed: int, callbacks: list[Any]) -> dict[str, Any]:
    """Train, and return the results: recorded metrics, parameters, seconds, alarms.

    Raises:
        MissingMetricError: if the objective was not logged.
        TrialPruned: if an alarm stopped the run.
        SystemExit: with status 130 or 143, if the process was asked to stop.
    """
    if has_ended(run_dir):  # its process was stopped before the result was stored
        return results(study, last_restart(run_dir))
    from lab.training.running import run_trainer  # torch and Lightning take six seconds, once in a process
    from lightning_models.callbacks.alarm_rules import StoppedByAlarmError

    arguments = [*study.arguments(setting, seed), "--run_dir", str(run_dir), "--quiet"]
    arguments += ["--wandb.group", study.name, "--wandb.name", run_dir.name]
    arguments += ["--wandb.setting", json.dumps({**setting, "seed": seed})]
    if can_resume(run_dir):
        arguments += ["--ckpt_path", str(run_dir / "checkpoints" / "last.ckpt")]
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        try:
            run_trainer("fit", arguments, callbacks)
        except StoppedByAlarmError as alarm:
            raise TrialPruned(str(alarm)) from alarm
        except SystemExit as end:
            if end.code in STATUSES:
                raise
            raise RuntimeError(f"the run ended its process with status {end.code}") from end
    return results(study, last_restart(run_dir))


def last_restart(run_dir: Path) -> Path:
    """The folder of the run that ended: with `alarms.on_alarm: restart` it may lie beside the first one."""
    restarts = run_dir.parent.glob(f"{glob.escape(run_dir.name)}-restart*/summary.json")
    return max((path.parent for path in restarts), key=lambda folder: folder.name, default=run_dir)


def results(study: Study, run_dir: Path) -> dict[str, Any]:
    """The results of a run, from its summary.json and alarms.json; parameters without moving averages of others."""
    summary = json.loads((run_dir / "summary.json").read_text())
    metrics = summary["metrics"]
    found = {name: metrics[name] for name in study.record if math.isfinite(metrics.get(name, math.nan))}
    if study.record[0] not in found:
        logged = ", ".join(sorted(metrics))
        raise MissingMetricError(
            f"the run logged no finite {study.record[0]}, the objective of the study; it logged {logged}"
        )
    return {
        "run_dir": f"{run_dir.parent.name}/{run_dir.name}",
        "metrics": found,
        "parameters": sum(count for name, count in summary["parameters"].items() if not name.endswith("_ema")),
        "seconds": summary["seconds"],
        "alarms": alarms_of(run_dir),
    }


def alarms_of(run_dir: Path, active: bool = False) -> str:
    """The names of the alarms of a run, separated by `;`; if `active`, only those that have not ended."""
    path = run_dir / "alarms.json"
    raised = json.loads(path.read_text()) if path.is_file() else []
    return ";".join(dict.fromkeys(alarm["name"] for alarm in raised if not active or alarm["ended"] is None))
