import random

import numpy as np
import pytest
import torch

from lightning_models.callbacks.random_state import RandomState


class Devices:
    """Two GPUs' generators, for a process whose own device is number `current`."""

    def __init__(self, monkeypatch, current, first):
        self.states, self.current = [torch.tensor([first]), torch.tensor([first + 1])], current
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
        monkeypatch.setattr(torch.cuda, "get_rng_state", lambda: self.states[self.current])
        monkeypatch.setattr(torch.cuda, "set_rng_state", self.set)
        monkeypatch.setattr(torch.cuda, "get_rng_state_all", lambda: list(self.states))
        monkeypatch.setattr(torch.cuda, "set_rng_state_all", lambda states: setattr(self, "states", states))

    def set(self, state):
        self.states[self.current] = state


def restore(state):
    callback = RandomState()
    callback.load_state_dict(state)
    callback.on_train_batch_start(None, None, None, 0)


def test_all_generators_go_on_where_they_were():
    state = RandomState().state_dict()
    drawn = torch.rand(3).tolist(), np.random.rand(3).tolist(), random.random()
    restore(state)
    assert (torch.rand(3).tolist(), np.random.rand(3).tolist(), random.random()) == drawn


@pytest.mark.parametrize("rank", [0, 1])
def test_each_process_restores_the_first_ones_gpu_on_its_own(monkeypatch, rank):
    Devices(monkeypatch, current=0, first=10)  # rank 0, which writes the checkpoint
    state = RandomState().state_dict()
    resumed = Devices(monkeypatch, current=rank, first=20)
    restore(state)
    assert resumed.states[rank].item() == 10
    assert resumed.states[1 - rank].item() == 20 + (1 - rank)  # another process's


def test_a_checkpoint_with_all_gpus_of_its_machine_gives_the_first_ones(monkeypatch):
    resumed = Devices(monkeypatch, current=1, first=20)
    restore({**RandomState().state_dict(), "cuda": [torch.tensor([10]), torch.tensor([11])]})
    assert resumed.states[1].item() == 10


def test_a_checkpoint_of_a_machine_without_gpus_leaves_them_alone(monkeypatch):
    state = RandomState().state_dict()
    resumed = Devices(monkeypatch, current=0, first=20)
    restore({**state, "cuda": []})
    assert [state.item() for state in resumed.states] == [20, 21]


def test_it_restores_before_the_first_batch_only():
    callback = RandomState()
    callback.load_state_dict(callback.state_dict())
    callback.on_train_batch_start(None, None, None, 0)
    first = torch.rand(3)
    callback.on_train_batch_start(None, None, None, 1)
    assert not torch.equal(torch.rand(3), first)
