"""What alarms observe: small measures of weights, samples and networks, each of a few milliseconds."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lightning_models.gan import GAN
from lightning_models.losses.regularizers import WeightClipping
from lightning_models.metrics.active_units import ActiveUnits
from lightning_models.modules.evaluation_mode import evaluating
from lightning_models.vae import VAE, kl_to_standard_normal


def not_finite(module: nn.Module) -> str | None:
    """The name of the first weight or buffer that holds NaN or infinity; None if all are finite."""
    tensors = [(name, t) for name, t in [*module.named_parameters(), *module.named_buffers()] if t.is_floating_point()]
    sums = torch.stack([t.detach().sum(dtype=torch.float32) for _, t in tensors])  # one transfer for all
    for (name, _), total in zip(tensors, sums.tolist(), strict=True):
        if not math.isfinite(total):
            return name
    return None


def diversity(images: Tensor) -> float:
    """Mean Euclidean distance between two different images (count, ...)."""
    return float(torch.pdist(images.flatten(1).float()).mean())


def nearest(images: Tensor) -> float:
    """Median over the images (count, ...) of the Euclidean distance to the nearest other one."""
    pixels = images.flatten(1).float()
    distances = torch.cdist(pixels, pixels).fill_diagonal_(torch.inf)
    return float(distances.amin(dim=1).median())


def pinned(gan: GAN) -> float | None:
    """Share of the critic's parameters at the clipping bound; None where nothing clips them."""
    bounds = [part.clip_value for part in gan.regularizers.parts if isinstance(part, WeightClipping)]
    if not bounds:
        return None
    values = torch.cat([p.detach().flatten() for p in gan.discriminator.parameters()])
    return float((values.abs() >= 0.999 * min(bounds)).float().mean())


@dataclass(frozen=True)
class Images:
    """Images (count, channels, height, width) uint8 of one split of the data, and their labels (count,)."""

    pixels: Tensor
    labels: Tensor

    def scaled(self, model: GAN | VAE) -> tuple[Tensor, Tensor]:
        """The images in the model's range and the labels, on its device."""
        low, high = model.value_range
        return self.pixels.to(model.device).float() * ((high - low) / 255) + low, self.labels.to(model.device)


def some_of(data: Any, splits: tuple[str, ...], count: int) -> Images | None:
    """`count` images of the first of the `splits` that has any, always the same ones; None without any."""
    for split in splits:
        pixels, labels = getattr(data, f"{split}_images", None), getattr(data, f"{split}_labels", None)
        if pixels is not None and labels is not None and len(pixels):
            chosen = torch.randperm(len(pixels), generator=torch.Generator().manual_seed(0))[:count]
            return Images(pixels[chosen], labels[chosen])
    return None


@torch.no_grad()
def membership(gan: GAN, training: Images | None, held_out: Images | None) -> float | None:
    """How often D's output is higher for a training image than for a held-out one, over all pairs; ties count half.

    It is the area under the ROC curve of telling by D's output whether an image was trained on (Hayes et al. 2019,
    LOGAN): 0.5 for a D that has learnt nothing of single images, 1 for one that knows them by heart. D is in evaluation
    mode. None without held-out images.
    """
    if training is None or held_out is None:
        return None
    with evaluating(gan.discriminator):
        known, unknown = (
            gan.discriminator(pixels, *gan.given(labels)).float().flatten()
            for pixels, labels in (training.scaled(gan), held_out.scaled(gan))
        )
    difference = known.unsqueeze(1) - unknown
    return float(((difference > 0).float() + 0.5 * (difference == 0).float()).mean())


@torch.no_grad()
def posterior_use(vae: VAE, images: Images | None) -> tuple[int, int, float] | None:
    """Active latent variables (Burda et al. 2016, section 5.2), all of them, and KL in nats per image.

    None without images. The encoder is in evaluation mode.
    """
    if images is None:
        return None
    pixels, labels = images.scaled(vae)
    mean, log_variance = vae.posterior(vae.likelihood.observe(pixels, torch.Generator().manual_seed(0)), labels)
    active = ActiveUnits(vae.latent_dim)
    active.update(mean)
    return int(active.compute()), vae.latent_dim, float(kl_to_standard_normal(mean, log_variance).sum(dim=1).mean())
