"""Random changes of training images, drawn from a generator that the loader hands in."""

import torch
import torch.nn.functional as F

from datamodules.tensor_dataset import Batch


def shift_randomly(batch: Batch, generator: torch.Generator, reach: int) -> Batch:
    """Move each image (batch, channels, height, width) by -reach to reach pixels down and right; zeros move in."""
    images, *rest = batch
    count, _, height, width = images.shape
    windows = F.pad(images, [reach] * 4).unfold(2, height, 1).unfold(3, width, 1)  # every shift of every image
    down, right = torch.randint(2 * reach + 1, (2, count), generator=generator)
    return (windows[torch.arange(count), :, down, right], *rest)


def flip_half_of_them(batch: Batch, generator: torch.Generator) -> Batch:
    """Mirror each image (batch, channels, height, width) left to right with probability one half."""
    images, *rest = batch
    mirrored = torch.rand(len(images), generator=generator) < 0.5
    return (torch.where(mirrored[:, None, None, None], images.flip(-1), images), *rest)
