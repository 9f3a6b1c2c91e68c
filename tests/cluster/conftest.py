import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.cluster.slurm import Slurm, missing
from tests.cluster.trainings import FIT, PAIR, ROOT, TASKS, environment, weights


@pytest.fixture(scope="session")
def slurm():
    """A private SLURM of two nodes, for all tests of this folder."""
    if reason := missing():
        pytest.skip(f"there is no SLURM to test with: {reason}")
    cluster = Slurm(Path(tempfile.mkdtemp(prefix="slurm-")))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """The weights at the end of the training by one process and by two, started without SLURM."""
    ended = {}
    for processes, options in ((1, TASKS), (2, PAIR)):
        run = tmp_path_factory.mktemp("undisturbed") / "run"
        command = [sys.executable, "cli.py", "fit", *FIT, "--quiet", f"--trainer.devices={processes}"]
        command += ["--run_dir", str(run)]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=200, env=environment())
        ended[options] = weights(run)
    return ended
