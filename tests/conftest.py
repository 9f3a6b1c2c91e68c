import os

import pytest
import torch

os.environ["WANDB_MODE"] = "disabled"  # before anything imports wandb; the tests of tracking choose offline themselves
os.environ["JSONARGPARSE_DEPRECATION_WARNINGS"] = "off"  # Lightning 2.6 calls jsonargparse by its old names
torch.set_num_threads(1)  # small networks, and the tests run beside each other


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture(autouse=True, scope="session")
def cache_of_this_session(tmp_path_factory):
    """Decoded images go where nothing else looks, and nothing is found that was not decoded here."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def in_tmp_path(tmp_path, monkeypatch):
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def as_process(monkeypatch):
    """A function (rank, world_size) after which this process passes for one of a distributed run."""

    def become(rank, world_size):
        monkeypatch.setattr(torch.distributed, "is_initialized", lambda: world_size > 1)
        monkeypatch.setattr(torch.distributed, "get_world_size", lambda: world_size)
        monkeypatch.setattr(torch.distributed, "get_rank", lambda: rank)

    return become
