"""Where a command begins: its folder, which no other process writes to, and the checkpoint that it goes on from."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab.errors import UserError
from lab.training.checkpoints import read_checkpoint
from lab.training.run_folder import (
    RunFolder,
    check_resumable,
    check_run_dir,
    default_run_folder,
    given_run_folder,
    unused_folder,
)
from lab.training.run_lock import RunLock

PATIENCE = 600  # seconds for which --resume waits for the end of the process that trains in the folder
LIMITS = ("max_epochs", "max_steps", "max_time")


@dataclass(frozen=True)
class Start:
    """What the first process decides for all of a run.

    Args:
        run_dir: the folder.
        ckpt_path: the checkpoint to go on from, if there is one.
        is_complete: nothing is left to do.
    """

    run_dir: str
    ckpt_path: str | None
    is_complete: bool = False


def check_options(options: Any, command: str) -> None:
    """Raise a UserError if --resume stands beside options that it contradicts."""
    if not options.resume:
        return
    if command != "fit":
        raise UserError(f"--resume is an option of fit, not of {command}")
    if options.run_dir is None:
        raise UserError("--resume needs --run_dir: the folder of the run to go on with, or to begin")
    if options.ckpt_path is not None:
        raise UserError("--resume takes the last checkpoint of --run_dir: leave out --ckpt_path, or --resume")


def settle(options: Any, command: str, experiment: str) -> tuple[Start, RunFolder, RunLock | None]:
    """Find or make the folder, and lock it if the command trains; only the first process of a run does that.

    Args:
        options: of the command.
        command: fit, validate, test or predict.
        experiment: the name that a folder gets if none was given.

    Raises:
        UserError: if a fit would overwrite other files, or a run that it does not resume; or if another process trains
            in the folder, with --resume for ten minutes on end.
    """
    if command != "fit":
        run_dir = Path(options.run_dir or default_run_folder(experiment, writes=False).path)
        folder = unused_folder(run_dir / command, writes=True)
        return Start(str(folder.path), options.ckpt_path), folder, None
    if options.run_dir is None:
        folder = default_run_folder(experiment, writes=True)
    elif options.resume:
        check_resumable(Path(options.run_dir))
        folder = RunFolder(Path(options.run_dir), is_new=False, writes=True)
    else:
        folder = given_run_folder(Path(options.run_dir), options.ckpt_path, writes=True)
    lock = RunLock(folder.path, patience=PATIENCE if options.resume else 0)
    try:
        if options.resume:
            return resumed_start(folder.path, options.trainer), folder, lock
        if folder.path not in folder.created:
            check_run_dir(folder.path, options.ckpt_path)  # again: another run may have begun and ended in between
    except BaseException:
        lock.release()
        raise
    return Start(str(folder.path), options.ckpt_path), folder, lock


def resumed_start(run_dir: Path, limits: Any) -> Start:
    """The last checkpoint of a folder, if there is one, and whether its run is complete.

    Args:
        run_dir: the folder.
        limits: the Trainer's options, which may be further than those of the run.
    """
    last = run_dir / "checkpoints" / "last.ckpt"
    if not last.exists():
        return Start(str(run_dir), None)
    checkpoint, summary = read_checkpoint(str(last)), run_dir / "summary.json"
    ended = json.loads(summary.read_text()) if summary.is_file() else {}
    has_ended = ended.get("batches") == checkpoint["global_step"]
    return Start(str(run_dir), str(last), has_ended and is_reached(ended, limits, limits_of(checkpoint, run_dir)))


def limits_of(checkpoint: dict[str, Any], run_dir: Path) -> dict[str, Any]:
    """The Trainer's options of the run, from its last checkpoint or, in one of an earlier version, its config.yaml."""
    text = checkpoint.get("options") or (run_dir / "config.yaml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text).get("trainer") or {})


def is_reached(ended: dict[str, Any], limits: Any, before: dict[str, Any]) -> bool:
    """Whether a run that has ended would end at once under these limits.

    One that ended by itself, such as by early stopping, has ended for the limits that it had.
    """
    if all(str(before.get(name)) == str(limits[name]) for name in LIMITS):
        return True
    by_steps = limits.max_steps != -1 and ended["batches"] >= limits.max_steps
    by_epochs = limits.max_epochs not in (None, -1) and ended["epochs"] >= limits.max_epochs
    return bool(by_steps or by_epochs)


def described(start: Start) -> str:
    """For people: that nothing is left to do."""
    ended = json.loads((Path(start.run_dir) / "summary.json").read_text())
    return f"complete: {start.run_dir} has its {ended['epochs']} epochs ({ended['batches']:,} batches)"
