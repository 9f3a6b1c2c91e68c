"""Uploading what runs have recorded offline."""

import os
import subprocess
import sys
from pathlib import Path

from lightning_models.tracking.wandb_runs import PENDING


def parts_to_upload(folder: Path) -> list[Path]:
    """The folders below `folder` with recorded runs, or parts of them, that no server has in full; oldest first."""
    logs = [log for log in folder.rglob("wandb/*run-*/*.wandb") if not log.parent.is_symlink()]
    parts = {log.parent for log in logs if not is_uploaded(log)}
    return sorted(parts, key=lambda part: part.name.removeprefix("offline-"))


def is_uploaded(log: Path) -> bool:
    """Whether a server has all of a part: wandb marks those that it has uploaded, and a run that trains online is."""
    if (log.parent / PENDING).exists():
        return False
    return not log.parent.name.startswith("offline-") or marker(log).exists()


def marker(log: Path) -> Path:
    """The file that says that `log` is uploaded; `wandb sync` itself looks for it."""
    return log.with_name(f"{log.name}.synced")


def upload(part: Path) -> str:
    """Upload a part; returns why that failed, in the last line that wandb said, empty if it did not."""
    environment = {**os.environ, "WANDB_ERROR_REPORTING": "false"}
    environment.pop("WANDB_MODE", None)
    environment.pop("WANDB_SILENT", None)
    command = [sys.executable, "-m", "wandb", "sync", "--include-online", str(part)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    lines = [line.strip() for line in (ended.stdout + ended.stderr).splitlines() if line.strip()]
    if ended.returncode != 0:
        return lines[-1] if lines else f"wandb sync ended with status {ended.returncode}"
    (part / PENDING).unlink(missing_ok=True)
    for log in part.glob("*.wandb"):
        marker(log).touch()
    return ""
