"""Ctrl-C and SIGTERM never come between two lines of the optuna_study."""

import os
import signal
import threading

import pytest

import cli
from lab.stops import Stops
from lab.studies.pruning import StopIfAsked


@pytest.fixture
def in_the_foreground():
    """A shell lets its background jobs ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_waits_while_the_books_are_written(in_the_foreground):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with Stops() as stops:
        with stops.writing():
            os.kill(os.getpid(), signal.SIGINT)
        assert stops.status == 130
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_sigterm_is_noted_and_a_run_that_has_not_begun_does_not_begin():
    with Stops() as stops:
        looks = StopIfAsked(stops)
        looks.setup(None, None, stage="fit")
        os.kill(os.getpid(), signal.SIGTERM)
        assert stops.status == 143
        with pytest.raises(SystemExit) as status:
            looks.setup(None, None, stage="fit")
    assert status.value.code == 143


def test_a_job_in_the_background_goes_on_ignoring_ctrl_c(in_the_foreground):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Stops() as stops:
        os.kill(os.getpid(), signal.SIGINT)
        assert stops.status is None


def test_signals_that_were_held_back_while_python_started_end_the_command_with_one_line(capsys):
    held = {signal.SIGUSR1, signal.SIGTERM}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, held)
    try:
        for number in held:
            signal.pthread_kill(threading.get_ident(), number)  # not to another thread, which holds nothing back
        with pytest.raises(SystemExit) as status:
            cli.main(["--help"])
    finally:
        handlers = {number: signal.signal(number, signal.SIG_IGN) for number in held}  # what still waits is dropped
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert status.value.code == 138
    assert capsys.readouterr() == ("", "stopped by SIGUSR1\n")
