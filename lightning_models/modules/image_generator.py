"""The interface of all models that generate images: GAN and VAE sample and interpolate alike."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from lightning_models.modules.latent import InterpolationMode, interpolate


class ImageGenerator(ABC):
    """Turns latent vectors into images; mixed into a LightningModule."""

    latent_dim: int
    image_shape: tuple[int, int, int]

    @abstractmethod
    def draw_latent(self, count: int, generator: torch.Generator) -> Tensor:
        """Latent vectors (count, latent_dim) from the model's prior.

        Drawn on the CPU, so that a seed gives the same images on every device.
        """

    @abstractmethod
    def decode(self, latent: Tensor) -> Tensor:
        """Images (batch, channels, height, width) in [0, 1] of `latent` (batch, latent_dim); no gradients."""

    def sample(self, count: int, seed: int) -> Tensor:
        """`count` images in [0, 1], on the CPU; equal seeds give equal images."""
        return self.decode(self.draw_latent(count, torch.Generator().manual_seed(seed)))

    def interpolation(self, steps: int, seed: int, mode: InterpolationMode = "spherical") -> Tensor:
        """`steps` images in [0, 1] along a path between two latent vectors, the first and last exactly theirs."""
        start, end = self.draw_latent(2, torch.Generator().manual_seed(seed))
        return self.decode(interpolate(start, end, steps, mode))
