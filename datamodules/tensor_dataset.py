"""Data held as tensors: a batch is ONE gather, in an order that can be stopped and resumed anywhere."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from datamodules.resumable_loader import ResumableLoader, generator_of
from lab.errors import UserError

Batch = tuple[Tensor, ...]


class TensorLoader(ResumableLoader[Batch]):
    """Batches of several tensors of equal length, for one process or many.

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
            raise UserError(f"batch_size is {batch_size}: use a whole number from 1 up")
        if with_replacement and not shuffle:
            raise UserError("with_replacement draws at random: it cannot go with shuffle=False")
        if drop_last and exactly_once:
            raise ValueError("drop_last loses samples: it cannot go with exactly_once")
        super().__init__(seed, rank, world_size)
        self.tensors = tensors
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.with_replacement = with_replacement
        self.exactly_once = exactly_once
        self.augment = augment
        if len(self) == 0:
            raise UserError(self._no_batch())

    @property
    def num_samples(self) -> int:
        """Length of the tensors."""
        return len(self.tensors[0])

    def __len__(self) -> int:
        """Number of batches in an epoch, the same for every process."""
        full, left_over = divmod(self.num_samples, self.batch_size * self.world_size)
        return full + (left_over >= self.world_size and not self.drop_last)

    @property
    def layout(self) -> dict[str, Any]:
        """See ResumableLoader."""
        return {
            "batch size of all processes": self.batch_size * self.world_size,
            "shuffle": self.shuffle,
            "with_replacement": self.with_replacement,
        }

    @property
    def batch_sizes(self) -> list[int]:
        """Samples in each batch of this process and of any epoch."""
        return [len(range(self.num_samples)[self._own(position)]) for position in range(len(self))]

    def batches(self, start: int) -> Iterator[Batch]:
        """The batches of this process and epoch from number `start` on."""
        order = self._order()
        for position in range(start, len(self)):
            own = self._own(position)
            if order is None:
                batch = tuple(tensor[own] for tensor in self.tensors)
            else:
                indices = order[own]
                batch = tuple(tensor.index_select(0, indices) for tensor in self.tensors)
            if self.augment is not None:
                batch = self.augment(batch, generator_of(self.seed, self.epoch, position, self.rank))
            yield batch

    def _own(self, position: int) -> slice:
        """What this process takes of the order for batch number `position`."""
        world_size = self.world_size
        global_batch_size = self.batch_size * world_size
        dealt = self.num_samples if self.exactly_once else self.num_samples - self.num_samples % world_size
        first = position * global_batch_size
        takes_the_rest = self.exactly_once and position == len(self) - 1
        end = dealt if takes_the_rest else min(first + global_batch_size, dealt)
        return slice(first + self.rank, end, world_size)

    def _order(self) -> Tensor | None:
        """Indices of the whole epoch, (samples,), equal in all processes; None for the stored order."""
        if not self.shuffle:
            return None
        generator = generator_of(self.seed, self.epoch)
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
