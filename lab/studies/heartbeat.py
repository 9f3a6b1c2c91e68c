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
RUN, RESULT = "run", "result"  # attributes of a trial: what is known of its run when it begins and when it ends
WORKER, LAST_BEAT = "worker", "signed"  # in RUN; later beats are an attribute of their own, as in earlier versions


class AbandonedTrialError(Exception):
    """Another worker found the trial's heartbeat stale and took the trial over."""


class Heartbeat:
    """Within the context, a thread updates the trial's last heartbeat every BEAT_SECONDS; the first one is in its RUN.

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
        self.thread.start()
        return self

    def __exit__(self, *args: Any) -> None:
        self.ended.set()
        self.thread.join()


def facts(trial: Trial | FrozenTrial) -> dict[str, Any]:
    """What is known of a trial's run; earlier versions had an attribute for each fact."""
    attributes: dict[str, Any] = trial.user_attrs
    return {**attributes.get(RUN, {}), **attributes.get(RESULT, {}), **attributes}


def first_beat() -> dict[str, Any]:
    """That this process runs a trial, from now on."""
    return {WORKER: worker_name(), LAST_BEAT: time.time()}


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
    known = facts(trial)
    worker, last_beat = known.get(WORKER), known.get(LAST_BEAT)
    if worker is None or last_beat is None:  # begun just now, or killed before it could say by whom
        begun = trial.datetime_start
        return begun is not None and (datetime.now() - begun).total_seconds() > STALE_SECONDS
    host, pid, begun_at = str(worker).rsplit(":", 2)
    if host == socket.gethostname() and begun_at:
        return started(int(pid)) != begun_at
    return time.time() - float(last_beat) > STALE_SECONDS
