"""Requests to stop: Ctrl-C from a person; SIGTERM and SIGUSR1 from a cluster."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, ClassVar

from lab.errors import INTERRUPTED, TERMINATED, WARNED

STATUSES = {
    TERMINATED: "stopped by SIGTERM",
    WARNED: "stopped by SIGUSR1",
    INTERRUPTED: "interrupted",
}
SIGNALS = {signal.SIGTERM: TERMINATED, signal.SIGUSR1: WARNED}


class StoppedAtOnce(SystemExit):
    """A signal came while nothing was under way."""


class Stops:
    """Within the context, a signal that asks for a stop waits until somebody looks.

    `status` is the exit status that was asked for, if any: the first signal's, since SIGTERM may follow a warning.
    Contexts may be nested: the innermost gets the signals and hands them on when it ends. Ctrl-C is a KeyboardInterrupt
    at once, but inside `writing`, where `status` keeps it. Other threads than the main one get no signals, and nothing
    changes for them.

    Args:
        at_once: a signal ends the process with its status at once, as suits the time in which Python imports and
            nothing has begun.
        to_the_end: the process ends with the context: later signals are ignored, so that its exit status is right.
    """

    active: ClassVar[list["Stops"]] = []  # the innermost last

    def __init__(self, at_once: bool = False, to_the_end: bool = False) -> None:
        self.at_once, self.to_the_end = at_once, to_the_end
        self.status: int | None = None
        self.is_writing = False
        self.handlers_before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Stops":
        self.active.append(self)
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                self.handlers_before[number] = signal.signal(number, self.on_signal)
            if not self.at_once and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                self.handlers_before[signal.SIGINT] = signal.signal(signal.SIGINT, self.on_ctrl_c)
        return self

    def __exit__(self, *args: Any) -> None:
        for number, handler in self.handlers_before.items():
            signal.signal(number, signal.SIG_IGN if self.to_the_end else handler)
        self.active.remove(self)
        if self.active and self.active[-1].status is None:
            self.active[-1].status = self.status

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """Note the first one."""
        if self.status is None:
            self.status = SIGNALS[signal.Signals(number)]
        if self.at_once and not isinstance(sys.exc_info()[1], StoppedAtOnce):  # which is on its way to the message
            raise StoppedAtOnce(self.status)

    def on_ctrl_c(self, number: int, frame: FrameType | None) -> None:
        """Interrupt at once or, during an update of the storage, afterwards."""
        if not self.is_writing:
            raise KeyboardInterrupt
        self.status = INTERRUPTED

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Within the context, Ctrl-C waits."""
        self.is_writing = True
        try:
            yield
        finally:
            self.is_writing = False


def asked() -> int | None:
    """The exit status that this process has been asked to end with, if any."""
    return next((stops.status for stops in reversed(Stops.active) if stops.status is not None), None)


def ask(status: int) -> None:
    """Ask this process to stop, as a signal does: another process of the same run has got one."""
    if Stops.active and Stops.active[-1].status is None:
        Stops.active[-1].status = status


def end_if_asked() -> None:
    """Raise SystemExit if a stop has been asked for: call it where nothing is under way."""
    if (status := asked()) is not None:
        raise SystemExit(status)


def deliver_held_signals() -> None:
    """Let those come that configs/cluster/requeue.sh has held back while Python started."""
    if threading.current_thread() is threading.main_thread():
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


@contextmanager
def helpers_unsignalled() -> Iterator[None]:
    """Processes that are started within the context never see SIGTERM and SIGUSR1.

    SLURM signals every process of a job: a helper such as W&B's would die before the training has closed its run. They
    inherit what is blocked in this thread, where signals wait until the context ends.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
