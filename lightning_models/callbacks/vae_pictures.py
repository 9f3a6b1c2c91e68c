"""Pictures of a VAE's reconstructions and of its latent space."""

from typing import Any

import torch
from PIL.Image import Image
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from lightning_models.drawing.pictures import to_picture
from lightning_models.modules.latent import Latents
from lightning_models.tracking.media import save_picture
from lightning_models.vae import VAE, kl_to_standard_normal


class VAEPictures(Callback):
    """Writes reconstructions after each validation and, at the end, walks through the latent space.

    All go into `samples/` and to W&B: `reconstructions`, `between_images` (interpolation between two encoded images),
    `traversals` (one latent variable at a time) and, where there are two of them, `manifold`. They show validation
    images or, without any, training images. Training is not affected. Nothing is written for other models.

    Args:
        columns: number of reconstructed images; every two neighbours are the ends of an interpolation.
        steps: images of an interpolation and of a traversal.
        variables: largest number of latent variables to traverse: those with the highest KL.
        reach: a traversal goes from -reach to +reach, in standard deviations of the prior.
        manifold_side: rows and columns of the manifold.
    """

    def __init__(
        self, columns: int = 10, steps: int = 9, variables: int = 10, reach: float = 3.0, manifold_side: int = 20
    ) -> None:
        self.columns, self.steps, self.variables = columns, steps, variables
        self.reach, self.manifold_side = reach, manifold_side
        self.images: Tensor | None = None  # (columns, C, H, W), in the data's value range
        self.labels: Tensor  # of these images, (columns,)
        self.are_held_out = False

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Keep the first training images, unless there are validation images."""
        if self.images is None:
            self.images, self.labels = (part[: self.columns].clone() for part in batch)

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, *args: Any
    ) -> None:
        """Keep the first validation images."""
        if not self.are_held_out:
            self.images, self.labels = (part[: self.columns].clone() for part in batch)
            self.are_held_out = True

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.write_reconstructions(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.write_reconstructions(trainer, pl_module)
        self.write_walks(trainer, pl_module)

    def write_reconstructions(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write `samples/reconstructions.png`: images above their reconstructions from the posterior means."""
        if not isinstance(pl_module, VAE) or self.images is None or not trainer.is_global_zero:
            return
        originals, mean, _ = encoded(pl_module, self.images, self.labels)
        rows = torch.cat([originals, pl_module.decode(pl_module.latents(mean, self.labels))])
        save_picture(trainer, "reconstructions", to_picture(rows, len(originals), ["image", "reconstruction"]))

    def write_walks(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write `between_images`, `traversals` and, of two latent variables, `manifold`."""
        if not isinstance(pl_module, VAE) or self.images is None or not trainer.is_global_zero:
            return
        originals, mean, kl = encoded(pl_module, self.images, self.labels)
        codes = pl_module.latents(mean, self.labels)
        if len(originals) > 1:
            save_picture(trainer, "between_images", between_images(pl_module, originals, codes, self.steps))
        variables = kl.argsort(descending=True)[: self.variables]
        labels = [f"z{variable} ({kl[variable]:.1f} nats)" for variable in variables]
        images = decode_as(pl_module, traversals(mean[0], variables, self.steps, self.reach), self.labels[0])
        save_picture(trainer, "traversals", to_picture(images, self.steps, labels))
        if pl_module.latent_dim == 2:
            images = decode_as(pl_module, manifold(self.manifold_side), self.labels[0])
            save_picture(trainer, "manifold", to_picture(images, self.manifold_side))


def decode_as(vae: VAE, vectors: Tensor, label: Tensor) -> Tensor:
    """Images of latent vectors (count, latent_dim), all of one class if the VAE is conditional."""
    return vae.decode(vae.latents(vectors, label.expand(len(vectors))))


def encoded(vae: VAE, images: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """What `vae` observes of `images`, in [0, 1]; the posterior means (batch, latent_dim); and the KL (latent_dim,)."""
    observed = vae.likelihood.observe(images.cpu(), torch.Generator().manual_seed(0))
    mean, log_variance = vae.posterior(observed, labels)
    return vae.in_unit_range(observed), mean, kl_to_standard_normal(mean, log_variance).mean(dim=0)


def between_images(vae: VAE, originals: Tensor, codes: Latents, steps: int) -> Image:
    """A row for every two neighbours: an original, `steps` images from its code to the other's, the other original."""
    rows = []
    for first in range(0, len(originals) - 1, 2):
        path = vae.walk(codes[first : first + 2], steps, "spherical")
        rows += [originals[first, None], path, originals[first + 1, None]]
    return to_picture(torch.cat(rows), steps + 2)


def traversals(start: Tensor, variables: Tensor, steps: int, reach: float) -> Tensor:
    """Latent vectors (variables * steps, latent_dim): `start`, in which one variable goes from -reach to reach."""
    latent = start.repeat(len(variables), steps, 1)
    for row, variable in enumerate(variables):
        latent[row, :, variable] = torch.linspace(-reach, reach, steps)
    return latent.flatten(0, 1)


def manifold(side: int) -> Tensor:
    """A square of two-dimensional latent vectors (side * side, 2), evenly spread in the prior's probability.

    The first variable grows to the right, the second one upwards (Kingma & Welling 2014, figure 4).
    """
    quantiles = torch.special.ndtri((torch.arange(side) + 0.5) / side)
    second, first = torch.meshgrid(quantiles.flip(0), quantiles, indexing="ij")
    return torch.stack([first, second], dim=-1).flatten(0, 1)
