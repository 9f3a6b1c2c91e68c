"""A run folder is trained in by one process at a time."""

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.errors import UserError
from lab.training.run_folder import check_run_dir
from lab.training.run_lock import RunLock

ROOT = Path(__file__).parents[3]


@contextmanager
def other_process(folder, program):
    """A process that has the lock, and waits."""
    words = [sys.executable, "-c", program, str(folder)]
    with subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "locked\n"
        yield process
        process.kill()


def test_a_second_process_is_refused_until_the_first_is_dead(tmp_path):
    hold = (
        "import sys, pathlib; from lab.training.run_lock import RunLock; "
        "lock = RunLock(pathlib.Path(sys.argv[1])); print('locked', flush=True); input()"
    )
    with other_process(tmp_path, hold) as process:
        with pytest.raises(UserError, match=f"another process is training in the run folder {tmp_path}: "):
            RunLock(tmp_path)
        process.kill()
        process.wait()
        assert (tmp_path / ".lock").exists()
        RunLock(tmp_path).release()
    assert list(tmp_path.iterdir()) == []


def test_a_child_does_not_inherit_the_lock(tmp_path):
    hold = (
        "import os, sys, pathlib, time; from lab.training.run_lock import RunLock; "
        "lock = RunLock(pathlib.Path(sys.argv[1])); child = os.fork()\n"
        "if child: print('locked', flush=True); os._exit(0)\n"
        "input()"
    )
    with other_process(tmp_path, hold) as process:
        process.wait()  # its child still waits for input
        RunLock(tmp_path).release()
        process.stdin.close()


def test_a_process_may_train_again_in_its_folder(tmp_path):
    for _ in range(2):
        lock = RunLock(tmp_path)
        lock.release()
        lock.release()


def test_what_a_killed_process_left_is_no_file_of_others(tmp_path):
    (tmp_path / ".lock").touch()
    check_run_dir(tmp_path, None)
    (tmp_path / "notes").touch()
    with pytest.raises(UserError, match="holds other files"):
        check_run_dir(tmp_path, None)


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / ".lock").mkdir()  # also for root, whom no permissions stop
    with pytest.raises(UserError, match=f"cannot write to the run folder {tmp_path}: Is a directory"):
        RunLock(tmp_path)
