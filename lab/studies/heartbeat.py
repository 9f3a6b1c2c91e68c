"""Signs that somebody works on a trial, by which the trials of killed processes are told."""

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

SIGN_SECONDS = 10.0
LOST_SECONDS = 120.0  # without a sign: long enough for a machine that is busy or whose clock is off by a minute


class GivenUpError(Exception):
    """Others took the trial for lost, after two minutes without a sign, and it is theirs now."""


class signing:  # noqa: N801
    """While inside, a thread signs the trial, so that others see that somebody works on it.

    `given_up` is set when they have stopped to believe it.
    """

    def __init__(self, trial: Trial) -> None:
        self.trial, self.ended, self.given_up = trial, threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self.sign, daemon=True)

    def sign(self) -> None:
        """Sign until the end; a storage that is away for a moment is tried again."""
        while not self.ended.wait(SIGN_SECONDS):
            try:
                self.trial.set_user_attr("signed", time.time())
            except UpdateFinishedTrialError:
                self.given_up.set()
                return
            except Exception as error:
                print(f"the study's storage did not answer ({error}); trying again", file=sys.stderr)

    def __enter__(self) -> "signing":
        self.trial.set_user_attr("worker", worker_name())
        self.trial.set_user_attr("signed", time.time())
        self.thread.start()
        return self

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
