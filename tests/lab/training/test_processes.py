"""Processes of one run tell each other what they decide and how they end; here two of them are threads of the test."""

import socket
import threading
import time

import pytest

from lab.errors import UserError
from lab.stops import Stops
from lab.training import processes
from lab.training.launchers import MEETING, Launch
from lab.training.processes import Processes


@pytest.fixture
def two(monkeypatch):
    """The first process and another one."""
    ended = []
    monkeypatch.setattr(processes.os, "_exit", ended.append)
    monkeypatch.setattr(processes, "STUCK", 0.2)
    monkeypatch.setattr(processes, "GRACE", {True: 3600, False: 3600})
    monkeypatch.setattr(processes, "PATIENCE", 5)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    found = [Processes(Launch("srun", rank, 2, "key", "127.0.0.1", port)) for rank in (0, 1)]
    for process in found:
        process.ended = ended
    yield found
    for process in found:
        process.is_leaving = True
        for connection in list(process.others.values()):
            connection.close()


def beside(function, *args):
    """Call a function in a thread; what it returns or raises is in the list, once the thread has ended."""
    outcome = []

    def call():
        try:
            outcome.append(function(*args))
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    return thread, outcome


def test_one_process_decides_and_speaks_for_itself():
    alone = Processes(Launch())
    assert alone.share(lambda: 3) == 3
    alone.meet()
    assert alone.speaks(2)
    alone.leave(2)


def test_what_the_first_decides_all_have_in_its_order(two):
    first, other = two
    thread, got = beside(other.share, lambda: pytest.fail("the other decides nothing"))
    assert first.share(lambda: {"run_dir": "runs/a"}) == {"run_dir": "runs/a"}
    assert first.share(lambda: 2) == 2
    thread.join()
    assert got == [{"run_dir": "runs/a"}]
    assert other.share(None) == 2


def test_they_meet_when_both_are_ready(two):
    first, other = two
    thread, met = beside(first.meet)
    time.sleep(0.3)
    assert met == []
    other.meet()
    thread.join()
    assert met == [None]


def test_a_refusal_of_both_is_said_by_the_first(two):
    first, other = two
    thread, speaks = beside(other.speaks, 2)
    time.sleep(0.3)
    assert speaks == []  # until it is clear what becomes of the first one
    assert first.speaks(2)
    thread.join()
    assert speaks == [False]


def test_a_refusal_of_the_other_alone_is_said_by_that(two):
    first, other = two
    thread, speaks = beside(other.speaks, 2)
    with pytest.raises(SystemExit) as status:
        first.meet()
    assert status.value.code == 2
    thread.join()
    assert speaks == [True]
    assert not first.speaks(1)  # an error that follows from it


def test_an_error_while_they_train_ends_the_first_though_its_main_thread_waits(two):
    first, other = two
    thread, _ = beside(other.meet)
    first.meet()
    thread.join()
    closed = []
    first.close = lambda: closed.append("W&B")
    assert other.speaks(1)
    until = time.monotonic() + 5
    while not first.ended and time.monotonic() < until:
        time.sleep(0.05)
    assert (closed, first.ended) == (["W&B"], [1])


def test_a_process_that_is_gone_without_a_word_ends_all_with_one_message(two, capfd):
    first, other = two
    thread, _ = beside(other.meet)
    first.meet()
    thread.join()
    other.is_leaving = True
    other.others[0].shutdown(socket.SHUT_RDWR)
    until = time.monotonic() + 5
    while first.status is None and time.monotonic() < until:
        time.sleep(0.05)
    assert first.status == 1
    assert capfd.readouterr().err == "error: process 1 of this run has ended without a message\n"


def test_one_that_has_said_that_it_leaves_is_not_missed(two):
    first, other = two
    thread, _ = beside(other.meet)
    first.meet()
    thread.join()
    other.leave(0)
    other.others[0].shutdown(socket.SHUT_RDWR)
    time.sleep(0.3)
    assert first.status is None


def test_a_stop_before_they_meet_ends_both_with_its_status(two):
    first, other = two
    with Stops() as stops:
        stops.status = 138
        with pytest.raises(SystemExit) as status:
            other.meet()
        assert status.value.code == 138
    assert not other.speaks(138)
    with pytest.raises(SystemExit) as status:
        first.meet()
    assert status.value.code == 138


def test_a_process_of_another_run_is_turned_away(two):
    first, _ = two
    stranger = Processes(Launch("srun", 1, 2, "another key", "127.0.0.1", first.launch.port))
    time.sleep(0.5)
    assert first.ready == set()
    stranger.is_leaving = True


def test_a_first_process_that_nobody_finds_is_reported(monkeypatch):
    monkeypatch.setattr(processes, "PATIENCE", 0.3)
    lost = Processes(Launch("srun", 1, 2, "key", "127.0.0.1", 1))
    with pytest.raises(UserError, match=r"process 1 cannot reach the first one at 127.0.0.1:1: .*refused"):
        lost.meet()


def test_one_that_does_not_come_is_named(monkeypatch):
    monkeypatch.setenv(MEETING, "")  # so that it is removed after the test
    monkeypatch.setattr(processes, "PATIENCE", 0.3)
    first = Processes(Launch("Lightning", 0, 3, "key"))
    with pytest.raises(UserError, match=r"processes \[1, 2\] have not started within"):
        first.meet()
