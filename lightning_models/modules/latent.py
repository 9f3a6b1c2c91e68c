"""Latent vectors: sampling, and paths between two of them; noise that differs between processes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lab.errors import UserError
from lightning_models.modules.checks import check_choice

LatentDistribution = Literal["normal", "uniform", "normal_over_max"]
InterpolationMode = Literal["linear", "spherical"]

BATCH_OF_A_MAXIMUM = 128  # vectors that share a maximum in "normal_over_max" outside of training: report 1's batch size


@dataclass(frozen=True)
class Latents:
    """What images are made from: latent vectors (count, latent_dim) and, of a conditional model, labels.

    Labels are whole numbers (count,), or weights of the classes (count, classes) between two of them. A slice holds the
    same rows of both.
    """

    vectors: Tensor
    labels: Tensor | None = None

    def __len__(self) -> int:
        return len(self.vectors)

    def __getitem__(self, rows: slice) -> "Latents":
        return Latents(self.vectors[rows], None if self.labels is None else self.labels[rows])

    def parts(self, size: int) -> Iterator["Latents"]:
        """Slices of at most `size` rows."""
        return (self[first : first + size] for first in range(0, len(self), size))

    def on(self, device: torch.device) -> tuple[Tensor, ...]:
        """The arguments of a generator, on `device`: vectors, and labels if there are any."""
        given = (self.vectors,) if self.labels is None else (self.vectors, self.labels)
        return tuple(part.to(device) for part in given)


def sample_latent(
    count: int,
    latent_dim: int,
    distribution: LatentDistribution,
    device: torch.device | str,
    generator: torch.Generator | None = None,
    rank: int | None = None,
    world_size: int | None = None,
) -> Tensor:
    """Draw latent vectors (count, latent_dim) on `device`; each process of a distributed run gets its own.

    Args:
        count: Number of vectors for this process.
        latent_dim: Length of a vector.
        distribution: "normal": N(0, 1). "uniform": U(-1, 1). "normal_over_max": N(0, 1) divided by the largest
            value of the batch, as in report 1; its standard deviation is about 0.25 and varies with the batch.
        device: Where the vectors are needed.
        generator: Source of the random numbers, on its own device; by default the global generator of `device`.
        rank: Number of this process, by default torch.distributed's.
        world_size: Number of processes, by default torch.distributed's. With 1, all processes draw the same vectors.

    Raises:
        UserError: For an unknown distribution.
    """

    def draw(rows: int) -> Tensor:
        shape = (rows, latent_dim)
        source = device if generator is None else generator.device
        if distribution == "uniform":
            return torch.rand(shape, generator=generator, device=source) * 2 - 1
        normal = torch.randn(shape, generator=generator, device=source)
        return normal / normal.max() if distribution == "normal_over_max" else normal

    check_choice("latent distribution", distribution, LatentDistribution)
    return draw_own_rows(draw, count, rank, world_size).to(device)


def sample_latent_of_any_number(
    count: int, latent_dim: int, distribution: LatentDistribution, generator: torch.Generator
) -> Tensor:
    """Latent vectors (count, latent_dim) with the scale of training, whatever `count` is; equal in all processes.

    The scale of "normal_over_max" depends on how many vectors share a maximum: with 100 variables it is 0.37 for two
    vectors and 0.26 for 128. They are drawn in batches of BATCH_OF_A_MAXIMUM; the first `count` are returned.
    """
    size = BATCH_OF_A_MAXIMUM if distribution == "normal_over_max" else count
    batches = [
        sample_latent(size, latent_dim, distribution, generator.device, generator, world_size=1)
        for _ in range(0, count, size)
    ]
    return torch.cat(batches)[:count]


def draw_own_rows(
    draw: Callable[[int], Tensor], count: int, rank: int | None = None, world_size: int | None = None
) -> Tensor:
    """This process's `count` rows of `draw(rows)`, which is called for the global batch of all processes.

    All processes start from the same seed, so each would draw the *same* noise. Therefore each draws the noise of the
    global batch and takes the rows rank, rank + world_size, ...: different noise in every process, and together what a
    single process draws for the same global batch.
    """
    if world_size is None:
        distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
        world_size = torch.distributed.get_world_size() if distributed else 1
    if rank is None:
        rank = torch.distributed.get_rank() if world_size > 1 else 0
    return draw(world_size * count)[rank::world_size]


def own_noise_like(images: Tensor) -> Tensor:
    """N(0, 1) with the shape, dtype and memory format of `images`, different in each process; see `draw_own_rows`."""
    is_channels_last = images.is_contiguous(memory_format=torch.channels_last)
    order = (
        torch.channels_last if is_channels_last else torch.contiguous_format
    )  # decides which pixel gets which number

    def draw(rows: int) -> Tensor:
        shape = (rows, *images.shape[1:])
        return torch.empty(shape, dtype=images.dtype, device=images.device, memory_format=order).normal_()

    return draw_own_rows(draw, len(images))


def interpolate(start: Tensor, end: Tensor, steps: int, mode: InterpolationMode) -> Tensor:
    """Latent vectors (steps, latent_dim) on a path from `start` to `end`, (latent_dim,) each, both included exactly.

    "linear" is a straight line; the vectors in its middle are shorter than Gaussian noise ever is. "spherical" (White
    2016) rotates from one direction to the other in equal angles while the length changes in equal steps. Where no
    plane of rotation is defined (one vector is 0, or both lie on one line through 0) it is the straight line, too.

    Raises:
        UserError: If `steps` is below 2 or the mode is unknown.
    """
    check_choice("interpolation mode", mode, InterpolationMode)
    if steps < 2:
        raise UserError(f"an interpolation of {steps} steps has no two end points: use at least 2 steps")
    shares = torch.linspace(0, 1, steps, dtype=start.dtype, device=start.device).unsqueeze(1)  # (steps, 1)

    path = torch.lerp(start, end, shares)
    if mode == "spherical":
        first, last = start / start.norm(), end / end.norm()  # NaN if one vector is 0, and then so is the angle
        angle = 2 * torch.atan2((first - last).norm(), (first + last).norm())  # Kahan: exact where acos is not
        if angle.sin() > 1e-3:
            directions = ((1 - shares) * angle).sin() * first + (shares * angle).sin() * last
            path = directions / angle.sin() * torch.lerp(start.norm(), end.norm(), shares)
    path[0], path[-1] = start, end  # exact, not only up to rounding
    return path
