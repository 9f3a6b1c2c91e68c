"""Random pieces of lines, and the characters of a batch of them."""

import torch
from torch import Tensor

from datamodules.tensor_dataset import Batch

Samples = tuple[Tensor, Tensor, Tensor]  # where lines begin, or they themselves; their lengths; their labels


def cut(begins: Tensor, lengths: Tensor, between: tuple[int, int], generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A random piece of each line: where it begins and how long it is, (lines,) each.

    Its length is uniform in `between`, both included, and its place uniform; a line that is not longer is taken whole.
    """
    shortest, longest = between
    wanted = torch.randint(shortest, longest + 1, lengths.shape, generator=generator)
    pieces = torch.minimum(wanted, lengths)
    places = torch.rand(lengths.shape, generator=generator, dtype=torch.float64) * (lengths - pieces + 1)
    return begins + places.long(), pieces


def gather(characters: Tensor, between: tuple[int, int] | None, batch: Batch, generator: torch.Generator) -> Batch:
    """The characters of each sample of a batch, cut to a piece of it if `between` says so; see Names."""
    begins, lengths, labels = batch
    if between is not None:
        begins, lengths = cut(begins, lengths, between, generator)
    steps = torch.arange(int(lengths.max()))
    is_inside = steps < lengths[:, None]  # (batch, time)
    places = torch.where(is_inside, begins[:, None] + steps, 0)
    return torch.where(is_inside, characters[places], 0), lengths, labels
