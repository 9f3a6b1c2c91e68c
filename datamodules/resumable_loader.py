"""A loader that can be stopped and resumed anywhere: its order is a function of (seed, epoch) and the process."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

import numpy as np
import torch

from lab.errors import UserError

T = TypeVar("T")


def default_seed() -> int:
    """The seed of the order of batches where none is given: the one of seed_everything, else 0."""
    return int(os.environ.get("PL_GLOBAL_SEED", 0))


class ResumableLoader(ABC, Generic[T]):
    """Batches whose order never touches the global random state, so that (seed, epoch, position) is the whole state.

    Lightning calls `sampler.set_epoch` at the start of each epoch and keeps `state_dict` in every checkpoint, which
    makes a resumed run see exactly the batches that the interrupted one would have seen.
    """

    def __init__(self, seed: int = 0, rank: int | None = None, world_size: int | None = None) -> None:
        """Start at the first epoch.

        Args:
            seed: Of the order, from 0 up.
            rank: This process, by default torch.distributed's.
            world_size: Number of processes, by default torch.distributed's.

        Raises:
            UserError: for a negative seed.
        """
        if seed < 0:
            raise UserError(f"the seed of the order is {seed}: use a whole number from 0 up")
        self.seed = seed
        self._rank = rank
        self._world_size = world_size
        self.epoch = 0
        self.position = 0  # batches of this epoch that were handed out
        self._resume_from = 0  # where the next iteration starts, after load_state_dict
        self._restored_layout: dict[str, Any] | None = None  # of the state that was loaded

    @property
    def rank(self) -> int:
        """Number of this process, asked when needed: loaders may be built before the processes know each other."""
        if self._rank is not None:
            return self._rank
        return torch.distributed.get_rank() if _is_distributed() else 0

    @property
    def world_size(self) -> int:
        """Number of processes that share each global batch."""
        if self._world_size is not None:
            return self._world_size
        return torch.distributed.get_world_size() if _is_distributed() else 1

    batch_sampler = None  # Lightning asks for it wherever it finds a sampler

    @property
    def sampler(self) -> "ResumableLoader[T]":
        """Itself: Lightning calls `loader.sampler.set_epoch(epoch)`."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Go to the start of `epoch`, or stay where the state says if that is the same epoch."""
        if epoch != self.epoch:
            self.epoch, self.position, self._resume_from = epoch, 0, 0

    @property
    def layout(self) -> dict[str, Any]:
        """What a position in an epoch means: plain values, the size of the global batch among them."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """Everything that is needed to continue behind the last batch that was handed out."""
        return {"seed": self.seed, "epoch": self.epoch, "position": self.position, "layout": self.layout}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken, also with its seed, given the same data.

        A state of the middle of an epoch needs the same layout, or the first batch raises a UserError; from the end of
        an epoch one may go on with any.
        """
        self.seed, self.epoch, self.position = state["seed"], state["epoch"], state["position"]
        self._resume_from, self._restored_layout = self.position, state.get("layout")

    @abstractmethod
    def __len__(self) -> int:
        """Number of batches in an epoch, the same for every process."""

    @abstractmethod
    def batches(self, start: int) -> Iterator[T]:
        """The batches of this process and epoch from number `start` on."""

    def __iter__(self) -> Iterator[T]:
        # A generator's body runs at the first `next`. Lightning may call `iter` before `set_epoch`, but no `next`.
        start, self._resume_from = self._resume_from, 0
        if start:
            self._check_layout(start)
        if start > len(self):
            raise UserError(
                f"the checkpoint was written after {start} batches of an epoch, but now an epoch has {len(self)}: "
                "resume with the same data, batch_size and number of processes"
            )
        for number, batch in enumerate(self.batches(start), start + 1):
            self.position = number
            yield batch

    def _check_layout(self, start: int) -> None:
        """Raise a UserError if batch number `start` of the restored epoch was another one than here."""
        before, now = self._restored_layout, self.layout
        if before is None or before == now:
            return
        changes = [f"{name} {before.get(name)} -> {value}" for name, value in now.items() if before.get(name) != value]
        raise UserError(
            f"the checkpoint was written in the middle of an epoch, after {start} batches, and since then "
            f"{', '.join(changes)}: change that at the end of an epoch, or start a new run"
        )


def generator_of(*key: int) -> torch.Generator:
    """A random generator that is a pure function of `key`.

    PyTorch's CPU generator reads 32 bits of its seed; SeedSequence mixes the key into them, so that neighbouring seeds
    and epochs share nothing.
    """
    return torch.Generator().manual_seed(int(np.random.SeedSequence(key).generate_state(1)[0]))


def _is_distributed() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()
