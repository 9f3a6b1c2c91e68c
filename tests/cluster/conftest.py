import tempfile
from pathlib import Path

import pytest

from tests.cluster.slurm import Slurm, missing


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
