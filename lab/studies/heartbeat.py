"""Worker heartbeats; a stale one marks the trial of a dead worker."""

import os
import socket
import sys
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, Trial

BEAT_SECONDS = 10.0
STALE_SECONDS = 120.0  # long enough for a busy machine, or one whose clock is off by a minute
WORKER, LAST_BEAT = "worker", "signed"  # attributes of a trial; the names are those of earlier versions


class AbandonedTrialError(Exception):
    """Another worker found the trial's heartbeat stale and took the trial over."""


class Heartbeat:
    """Within the context, a thread updates the trial's last heartbeat every BEAT_SECONDS.

    `abandoned` is set once another worker has taken the trial over.
    """

    def __init__(self, trial: Trial) -> None:
        self.trial, self.ended, self.abandoned = trial, threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self.beat, daemon=True)

    def beat(self) -> None:
        """Update the heartbeat until the end; while the storage does not answer, try again."""
        while not self.ended.wait(BEAT_SECONDS):
            try:
                self.trial.set_user_attr(LAST_BEAT, time.time())
            except UpdateFinishedTrialError:
                self.abandoned.set()
                return
            except Exception as error:
                print(f"the study's storage did not answer ({error}); trying again", file=sys.stderr)

    def __enter__(self) -> "Heartbeat":
        self.trial.set_user_attr(WORKER, worker_name())
        self.trial.set_user_attr(LAST_BEAT, time.time())
        self.thread.start()
        return self

    def __exit__(self, *args: Any) -> None:
        self.ended.set()
        self.thread.join()


def worker_name() -> str:
    """Host, process id and start time of this process: the id alone may be given to another process later."""
    return f"{socket.gethostname()}:{os.getpid()}:{started(os.getpid())}"


def started(pid: int) -> str:
    """Start time of a process of this machine; "" if it is unknown or there is no such process.

    A killed process that its parent has not waited for (a zombie) is still listed, but is dead.
    """
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if state in ("Z", "X") else fields[18]
    except (OSError, IndexError, ValueError):
        return ""


def is_stale(trial: FrozenTrial) -> bool:
    """Whether no worker runs a trial any more that is marked as running.

    A worker of this machine is looked up among its processes; of others the age of the heartbeat counts.
    """
    worker, last_beat = trial.user_attrs.get(WORKER), trial.user_attrs.get(LAST_BEAT)
    if worker is None or last_beat is None:  # taken just now, or killed before its first heartbeat
        begun = trial.datetime_start
        return begun is not None and (datetime.now() - begun).total_seconds() > STALE_SECONDS
    host, pid, begun_at = str(worker).rsplit(":", 2)
    if host == socket.gethostname() and begun_at:
        return started(int(pid)) != begun_at
    return time.time() - float(last_beat) > STALE_SECONDS
