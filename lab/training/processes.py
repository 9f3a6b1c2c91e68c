"""The processes of one run begin together and end together.

Each of them holds a connection to the first one, under every launcher. Over it the first one says what it has decided,
and each says when it is ready and how it ends. So the processes of a run that is refused by one of them, fails in one
of them, or loses one of them, end within seconds, instead of waiting in a collective for one that will not come; and
only one of them says why.
"""

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from lab.errors import BUG, UserError
from lab.stops import STATUSES, end_if_asked
from lab.training.launchers import Launch, known_port, make_known

Message = dict[str, Any]
PATIENCE = 600  # seconds in which all processes must have started
STUCK = 5  # seconds after which the first process, in whose end another one's has come, closes what it must close
GRACE = {True: 20, False: 25}  # seconds after which the first process, and the others, are ended, whatever they do


class Processes:
    """This process among those of its run. For a run of one process every method returns at once.

    Args:
        launch: how this process was started.
        is_started: whether all others have been started; Lightning starts them when the first one is ready.
    """

    def __init__(self, launch: Launch, is_started: bool = True) -> None:
        self.launch, self.is_first, self.is_started = launch, launch.rank == 0, is_started
        self.changed = threading.Condition()
        self.others: dict[int, socket.socket] = {}  # connections by rank; of others than the first, to the first alone
        self.ready: set[int] = set()
        self.gone: set[int] = set()  # those that have said that they leave
        self.failed: dict[int, int] = {}  # exit statuses of those that wait for the answer whether they may speak
        self.values: list[Any] = []  # what the first process has decided
        self.num_taken = 0
        self.may_go = self.is_leaving = False
        self.may_speak: bool | None = None
        self.has_spoken = False
        self.status: int | None = None  # with which all end
        self.unreached = "it has not started"
        self.unsent: Message | None = None  # what was to be said before there was a connection
        self.close: Callable[[], Any] = lambda: None  # what the first process must close, also if its main thread waits
        if launch.size > 1 and self.is_first:
            self.listen()
        elif launch.size > 1:
            threading.Thread(target=self.connect, daemon=True).start()

    @property
    def is_started_by_lightning(self) -> bool:
        """Whether the first process has started this one."""
        return self.launch.launcher == "Lightning" and not self.is_first

    # ------------------------------------------------------------------------------------------ for the main thread

    def share(self, decide: Callable[[], Any]) -> Any:
        """What the first process decides, in all of them; a plain value.

        Raises:
            SystemExit: if another process has failed, or a stop was asked for.
        """
        if self.launch.size == 1:
            return decide()
        if self.is_first:
            value = decide()
            with self.changed:
                self.values.append(value)
                self.send_all({"values": self.values})
            return value
        self.wait_for_first(lambda: len(self.values) > self.num_taken)
        self.num_taken += 1
        return self.values[self.num_taken - 1]

    def meet(self) -> None:
        """Wait until every process is ready to train.

        Raises:
            SystemExit: if another process has failed, or a stop was asked for.
            UserError: if one does not come.
        """
        if self.launch.size == 1 or self.may_go:
            return
        if not self.is_first:
            end_if_asked()  # one that will stop is not ready
            self.send_all({"ready": True})
            self.wait_for_first(lambda: self.may_go)
            return
        if self.is_started:
            missing = self.wait(lambda: len(self.ready) == self.launch.size - 1 or bool(self.failed), PATIENCE)
            if missing:
                absent = sorted(set(range(1, self.launch.size)) - self.ready)
                raise UserError(f"processes {absent} have not started within {PATIENCE // 60} minutes: see their logs")
        with self.changed:
            self.may_go = True
            if not self.failed:
                self.send_all({"go": True})
            self.answer()
        self.wait(lambda: True)

    def speaks(self, status: int, settle: float = 0.0) -> bool:
        """Whether this process is the one that says why the run ends; the others are told to end with `status`.

        Args:
            status: with which this process ends.
            settle: seconds in which the news of another process's end may come, which explains this one's error.
        """
        if self.launch.size == 1:
            return True
        with self.changed:
            self.has_spoken = True
            self.changed.wait_for(lambda: self.status is not None, settle)
            if self.status is not None:
                return self.is_first and status in STATUSES
            if self.is_first:
                self.end(status)
                return True
            self.send_all({"failed": status})
            if status in STATUSES:  # nothing to explain
                return False
            self.changed.wait_for(lambda: self.may_speak is not None, PATIENCE)
            return self.may_speak is not False

    def leave(self, status: int) -> None:
        """The last thing that a process does, with its exit status.

        Where a run has not come to its end, the first process ends first: launchers that see another one end kill it.
        """
        if self.launch.size == 1:
            return
        with self.changed:
            self.is_leaving = True
            self.send_all({"leaves": True})
            if not self.is_first and status:
                self.changed.wait_for(lambda: not self.others, PATIENCE if status in STATUSES else GRACE[False])

    def wait_for_first(self, is_done: Callable[[], bool]) -> None:
        """Wait for something that the first process says, however late; but not for ever to find it."""
        if self.wait(lambda: is_done() or bool(self.others), PATIENCE):
            place = f"{self.launch.host}:{self.launch.port or '?'}"
            raise UserError(f"process {self.launch.rank} cannot reach the first one at {place}: {self.unreached}")
        self.wait(is_done)

    def wait(self, is_done: Callable[[], bool], seconds: float | None = None) -> bool:
        """Wait, looking at stops and failures meanwhile; whether the time was over before."""
        until = None if seconds is None else time.monotonic() + seconds
        with self.changed:
            while True:
                if self.status is not None:
                    raise SystemExit(self.status)
                end_if_asked()
                if is_done():
                    return False
                if until is not None and time.monotonic() > until:
                    return True
                self.changed.wait(0.1)  # signals are handled in between

    # ---------------------------------------------------------------------------------- for the threads that listen

    def listen(self) -> None:
        """Let the others connect to this process."""
        try:
            server = socket.create_server(("", self.launch.port), backlog=self.launch.size)
        except OSError as error:
            raise UserError(
                f"the processes of this run cannot meet at port {self.launch.port} ({error.strerror}): another run of "
                "the same job may be using it"
            ) from error
        make_known(self.launch, server.getsockname()[1])

        def accept() -> None:
            while True:
                connection, _ = server.accept()
                threading.Thread(target=self.welcome, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()

    def welcome(self, connection: socket.socket) -> None:
        """Listen to one of the other processes until it has ended."""
        with connection:
            messages = received(connection)
            hello = next(messages, {})
            if hello.get("key") != self.launch.key:
                return
            rank = int(hello["rank"])
            with self.changed:
                self.others[rank] = connection
                send(connection, {"values": self.values, "go": self.may_go})
            for message in messages:
                self.hear(rank, message)
        self.lose(rank)

    def connect(self) -> None:
        """Find the first process, wherever it is in its start, and listen to it until it has ended."""
        while True:
            try:
                if port := known_port(self.launch):
                    connection = socket.create_connection((self.launch.host, port), timeout=10)
                    break
            except (OSError, RuntimeError) as error:  # it does not listen yet; RuntimeError of torchrun's store
                self.unreached = str(error)
            time.sleep(0.2)
        with connection:
            connection.settimeout(None)
            send(connection, {"rank": self.launch.rank, "key": self.launch.key})
            with self.changed:
                self.others[0] = connection
                if self.unsent:
                    send(connection, self.unsent)
            for message in received(connection):
                self.hear(0, message)
        self.lose(0)

    def hear(self, rank: int, message: Message) -> None:
        """Take note of what another process says."""
        with self.changed:
            if message.get("ready"):
                self.ready.add(rank)
            if message.get("leaves"):
                self.gone.add(rank)
            if "failed" in message:
                self.failed[rank] = message["failed"]
                self.answer()
            self.values = message.get("values", self.values)
            self.may_go = self.may_go or message.get("go", False)
            if "speak" in message:
                self.may_speak = message["speak"]
            if "end" in message:
                self.end(message["end"])
            self.changed.notify_all()

    def lose(self, rank: int) -> None:
        """Another process has ended; if it has not said so before, all end."""
        with self.changed:
            self.others.pop(rank, None)
            if rank not in self.gone and not self.is_leaving and self.status is None:
                if self.is_first:
                    print(f"error: process {rank} of this run has ended without a message", file=sys.stderr, flush=True)
                self.end(BUG)
            elif rank == 0 and self.status is not None and not self.is_leaving:
                threading.Timer(1.0, os._exit, [self.status]).start()  # its main thread may wait in a collective
            self.changed.notify_all()

    def answer(self) -> None:
        """Let the first one that has failed speak, once it is clear that the first process will not do so itself."""
        if not self.failed or not (self.may_go or any(status in STATUSES for status in self.failed.values())):
            return
        rank, status = next(iter(self.failed.items()))
        self.end(status, speaker=rank)

    def end(self, status: int, speaker: int | None = None) -> None:
        """All processes end with `status`. Who does not get to it, because it waits in a collective, is ended."""
        if self.status is not None:
            return
        self.status = status
        if self.is_first:
            for rank, connection in self.others.items():
                send(connection, {"speak": rank == speaker, "end": status})
        self.changed.notify_all()
        for seconds, call in ((STUCK, self.close_if_stuck), (GRACE[self.is_first], lambda: os._exit(status))):
            timer = threading.Timer(seconds, call)
            timer.daemon = True
            timer.start()

    def close_if_stuck(self) -> None:
        """Close in the place of the main thread, if that waits for another process."""
        if self.is_first and not self.is_leaving:
            with suppress(Exception):  # the main thread may have come to it in this moment
                self.close()
            if self.status in STATUSES and not self.has_spoken:
                print(STATUSES[self.status], file=sys.stderr, flush=True)
            os._exit(self.status or BUG)

    def send_all(self, message: Message) -> None:
        """To the others; of others than the first, to the first, as soon as it is there."""
        if not self.is_first and not self.others:
            self.unsent = message
        for connection in self.others.values():
            send(connection, message)


def send(connection: socket.socket, message: Message) -> None:
    """A line of JSON; to one that has ended, nothing."""
    with suppress(OSError):  # whoever listens to it finds out
        connection.sendall((json.dumps(message) + "\n").encode())


def received(connection: socket.socket) -> Iterator[Message]:
    """The messages of a connection until its other end is gone."""
    try:
        with connection.makefile(encoding="utf-8") as lines:
            yield from map(json.loads, lines)
    except OSError:
        return
