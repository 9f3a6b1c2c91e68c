"""Requests to stop: Ctrl-C from a person, SIGTERM from a cluster."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from lab.errors import INTERRUPTED, TERMINATED

STATUSES = (INTERRUPTED, TERMINATED)


class Stops:
    """Within the context, a stop never interrupts an update of the storage.

    `status` is the exit status that was asked for, if any. A run notices SIGTERM by itself, keeps a checkpoint and ends
    (Lightning calls the handler that it finds, too); before and after runs `status` must be looked at. Ctrl-C is a
    KeyboardInterrupt at once, but inside `writing`, where `status` keeps it. Other threads than the main one get no
    signals, and nothing changes for them.
    """

    def __init__(self) -> None:
        self.status: int | None = None
        self.is_writing = False
        self.handlers_before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Stops":
        if threading.current_thread() is threading.main_thread():
            self.handlers_before[signal.SIGTERM] = signal.signal(signal.SIGTERM, self.on_sigterm)
            if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not of a job in the background
                self.handlers_before[signal.SIGINT] = signal.signal(signal.SIGINT, self.on_ctrl_c)
        return self

    def __exit__(self, *args: Any) -> None:
        for number, handler in self.handlers_before.items():
            signal.signal(number, handler)

    def on_sigterm(self, number: int, frame: FrameType | None) -> None:
        self.status = TERMINATED

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
