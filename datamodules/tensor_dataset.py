"""Data held as tensors: a batch is ONE gather, in an order that can be stopped and resumed anywhere."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

Batch = tuple[Tensor, ...]


class TensorLoader:
    """Batches of several tensors of equal length, for one process or many.

    The order is a pure function of (seed, epoch) and never touches the global random state, so that (seed, epoch,
    position) is the whole state. Lightning calls `sampler.set_epoch` at the start of each epoch and keeps `state_dict`
    in every checkpoint, which makes a resumed run see exactly the batches that the interrupted one would have seen.

    With several processes a global batch of `batch_size * world_size` samples is dealt out: process r takes its samples
    r, r + world_size, ... Together they see what one process with the global batch sees, and all have equally many
    batches, so that none waits for another. What cannot be dealt evenly, at most `world_size - 1` samples at the very
    end, is dropped from the epoch, or with `exactly_once` handed to the first processes, one each.
    """

    def __init__(
        self,
        tensors: Batch,
        batch_size: int,
        shuffle: bool = False,
        drop_last: bool = False,
        with_replacement: bool = False,
        exactly_once: bool = False,
        seed: int = 0,
        augment: Callable[[Batch, torch.Generator], Batch] | None = None,
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        """Check the sizes; nothing is copied.

        Args:
            tensors: Each (samples, ...), all equally long.
            batch_size: Samples in a batch of this process. With `exactly_once` the last batch may hold one more.
            shuffle: Another order each epoch; otherwise the stored one, and batches are views of the tensors.
            drop_last: Leave out the last batch if it is smaller than the others.
            with_replacement: Draw each sample independently; an epoch has as many batches as without.
            exactly_once: For evaluation: every sample is seen by exactly one process.
            seed: Of the order, from 0 up.
            augment: Changes a batch, drawing from a generator of (seed, epoch, position, rank) only.
            rank: This process, by default torch.distributed's.
            world_size: Number of processes, by default torch.distributed's.

        Raises:
            ValueError: if the arguments leave no batch, or contradict each other.
        """
        if len({len(tensor) for tensor in tensors}) != 1:
            raise ValueError(f"tensors of equal length are needed, found {[len(tensor) for tensor in tensors]}")
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}: use a whole number from 1 up")
        if seed < 0:
            raise ValueError(f"the seed of the order is {seed}: use a whole number from 0 up")
        if with_replacement and not shuffle:
            raise ValueError("with_replacement draws at random: it cannot go with shuffle=False")
        if drop_last and exactly_once:
            raise ValueError("drop_last loses samples: it cannot go with exactly_once")
        self.tensors = tensors
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.with_replacement = with_replacement
        self.exactly_once = exactly_once
        self.seed = seed
        self.augment = augment
        self._rank = rank
        self._world_size = world_size
        self.epoch = 0
        self.position = 0  # batches of this epoch that were handed out
        self._resume_from = 0  # where the next iteration starts, after load_state_dict
        if len(self) == 0:
            raise ValueError(self._no_batch())

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

    @property
    def num_samples(self) -> int:
        """Length of the tensors."""
        return len(self.tensors[0])

    batch_sampler = None  # Lightning asks for it wherever it finds a sampler

    @property
    def sampler(self) -> "TensorLoader":
        """Itself: Lightning calls `loader.sampler.set_epoch(epoch)`."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Go to the start of `epoch`, or stay where the state says if that is the same epoch."""
        if epoch != self.epoch:
            self.epoch, self.position, self._resume_from = epoch, 0, 0

    def state_dict(self) -> dict[str, int]:
        """Everything that is needed to continue behind the last batch that was handed out."""
        return {"seed": self.seed, "epoch": self.epoch, "position": self.position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken, also with its seed, given the same data and batch size."""
        self.seed, self.epoch, self.position = state["seed"], state["epoch"], state["position"]
        self._resume_from = self.position

    def __len__(self) -> int:
        """Number of batches in an epoch, the same for every process."""
        full, left_over = divmod(self.num_samples, self.batch_size * self.world_size)
        return full + (left_over >= self.world_size and not self.drop_last)

    def __iter__(self) -> Iterator[Batch]:
        # A generator's body runs at the first `next`. Lightning may call `iter` before `set_epoch`, but no `next`.
        start, self._resume_from = self._resume_from, 0
        rank, world_size, num_batches = self.rank, self.world_size, len(self)
        if start > num_batches:
            raise ValueError(
                f"the checkpoint was written after {start} batches of an epoch, but now an epoch has {num_batches}: "
                "resume with the same data, batch_size and number of processes"
            )
        global_batch_size = self.batch_size * world_size
        dealt = self.num_samples if self.exactly_once else self.num_samples - self.num_samples % world_size
        order = self._order()
        for position in range(start, num_batches):
            first = position * global_batch_size
            takes_the_rest = self.exactly_once and position == num_batches - 1
            end = dealt if takes_the_rest else min(first + global_batch_size, dealt)
            own = slice(first + rank, end, world_size)
            if order is None:
                batch = tuple(tensor[own] for tensor in self.tensors)
            else:
                indices = order[own]
                batch = tuple(tensor.index_select(0, indices) for tensor in self.tensors)
            if self.augment is not None:
                batch = self.augment(batch, _generator(self.seed, self.epoch, position, rank))
            self.position = position + 1
            yield batch

    def _order(self) -> Tensor | None:
        """Indices of the whole epoch, (samples,), equal in all processes; None for the stored order."""
        if not self.shuffle:
            return None
        generator = _generator(self.seed, self.epoch)
        if self.with_replacement:
            return torch.randint(self.num_samples, (self.num_samples,), generator=generator)
        return torch.randperm(self.num_samples, generator=generator)

    def _no_batch(self) -> str:
        samples, size, processes = self.num_samples, self.batch_size, self.world_size
        shared = f" for each of {processes} processes" if processes > 1 else ""
        if self.drop_last and samples >= processes:
            return (
                f"{samples} samples make no batch of {size}{shared} with drop_last: "
                f"use a batch_size of at most {samples // processes}, or drop_last=False"
            )
        return f"{samples} samples make no batch{shared}: give more data" + (" or fewer processes" if shared else "")


def _generator(*key: int) -> torch.Generator:
    """A random generator that is a pure function of `key`.

    PyTorch's CPU generator reads 32 bits of its seed; SeedSequence mixes the key into them, so that neighbouring seeds
    and epochs share nothing.
    """
    return torch.Generator().manual_seed(int(np.random.SeedSequence(key).generate_state(1)[0]))


def _is_distributed() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()
