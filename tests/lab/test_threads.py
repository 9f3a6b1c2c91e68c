"""--threads and the waiting of threads."""

import os
import subprocess
import sys

import pytest
import torch

from lab.errors import UserError
from lab.threads import settle_threads


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    before = torch.get_num_threads()
    for name in ("OMP_WAIT_POLICY", "OMP_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
        monkeypatch.delenv(name)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("options", [["--threads", "3"], ["--threads=3"]])
def test_the_option_is_the_number_of_threads(options):
    assert settle_threads(["-c", "a.yaml", *options, "--quiet"]) == ["-c", "a.yaml", "--quiet"]
    assert os.environ["OMP_NUM_THREADS"] == "3"
    assert torch.get_num_threads() == 3


def test_threads_sleep_while_they_wait_unless_the_user_has_said_otherwise(monkeypatch):
    settle_threads([])
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    assert "OMP_NUM_THREADS" not in os.environ
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    settle_threads([])
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"


@pytest.mark.parametrize("options", [["--threads", "0"], ["--threads", "two"], ["--threads"], ["--threads=-1"]])
def test_other_numbers_are_mistakes(options):
    with pytest.raises(UserError, match="--threads is"):
        settle_threads(options)


@pytest.mark.full
def test_it_is_settled_before_torch_is_imported():
    script = """
import sys
from lab import main
main.importlib.import_module = lambda name: sys.exit("torch" in sys.modules and "too late")
main.main(["fit", "--threads", "2"])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
