"""The interface of all models that generate images: GAN and VAE sample and interpolate alike."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from lab.errors import UserError
from lightning_models.modules.evaluation_mode import evaluating
from lightning_models.modules.latent import InterpolationMode, Latents, interpolate

GENERATED_AT_ONCE = 256


class ImageGenerator(ABC):
    """Turns latent vectors into images; mixed into a LightningModule.

    Conditional models call `set_classes` in their constructor; their latent vectors come with labels.
    """

    latent_dim: int
    image_shape: tuple[int, int, int]
    class_names: list[str] | None = None  # of a conditional model
    class_shares: Tensor  # of a conditional model: how often each class is drawn, (classes,)
    trainer: Any
    hparams: Any

    @abstractmethod
    def draw_vectors(self, count: int, generator: torch.Generator) -> Tensor:
        """Latent vectors (count, latent_dim) from the model's prior.

        Drawn on the CPU, so that a seed gives the same images on every device.
        """

    @abstractmethod
    def decode(self, latent: Latents | Tensor) -> Tensor:
        """Images (batch, channels, height, width) in [0, 1] of `latent`; no gradients.

        Of an unconditional model, `latent` may also be the vectors alone.
        """

    def draw_latent(self, count: int, generator: torch.Generator, labels: Tensor | None = None) -> Latents:
        """Latent vectors and, of a conditional model, labels (count,): as given, else drawn as often as in the data."""
        vectors = self.draw_vectors(count, generator)
        if self.class_names is not None and labels is None:
            labels = torch.multinomial(self.class_shares.cpu(), count, replacement=True, generator=generator)
        return Latents(vectors, labels)

    def sample(self, count: int, seed: int, labels: Tensor | None = None) -> Tensor:
        """`count` images in [0, 1], on the CPU; equal seeds give equal images."""
        return self.decode(self.draw_latent(count, torch.Generator().manual_seed(seed), labels))

    def interpolation(
        self, steps: int, seed: int, mode: InterpolationMode = "spherical", labels: Tensor | None = None
    ) -> Tensor:
        """`steps` images in [0, 1] along a path between two latent vectors, the first and last exactly theirs.

        Of a conditional model it also leads, in a straight line, from one class to another: those of `labels` (2,), or
        two that are drawn. Between two given classes that differ only the class changes, not the vector.
        """
        ends = self.draw_latent(2, torch.Generator().manual_seed(seed), labels)
        if labels is not None and labels[0] != labels[1]:
            ends = Latents(ends.vectors[:1].expand(2, -1), labels)
        return self.walk(ends, steps, mode)

    def walk(self, ends: Latents, steps: int, mode: InterpolationMode) -> Tensor:
        """`steps` images in [0, 1] on the way between two `ends`, of a conditional model also between their classes."""
        path = interpolate(ends.vectors[0], ends.vectors[1], steps, mode)
        if self.class_names is None or ends.labels is None:
            return self.decode(path)
        first, last = one_hot(ends.labels.cpu(), len(self.class_names)).float()
        return self.decode(Latents(path, interpolate(first, last, steps, "linear")))

    # ------------------------------------------------------------------------------------------------------- classes

    def set_classes(self, conditional: bool, class_names: Sequence[str] | None) -> dict[str, int]:
        """Make the model conditional if it is to be; returns what its networks are built with in addition.

        Raises:
            UserError: if the data has no labels.
        """
        self.hparams["class_names"] = None  # an unconditional model does not know of labels
        if not conditional:
            return {}
        names = list(class_names or ())
        if len(names) < 2:
            found = f"all images are of one class, {names[0]}" if names else "it has no classes"
            raise UserError(
                f"model.conditional is true, but the data has no labels ({found}): use data with labels, such as a "
                "folder for each class, or model.conditional false"
            )
        self.class_names = self.hparams["class_names"] = names
        self.class_shares = nn.Buffer(torch.full((len(names),), 1 / len(names)))
        return {"num_classes": len(names)}

    def learn_class_shares(self) -> None:
        """Take how often each class is drawn from the training labels; without any all are equally likely."""
        labels: Tensor | None = getattr(getattr(self.trainer, "datamodule", None), "train_labels", None)
        if self.class_names is not None and labels is not None:
            counts = labels.bincount(minlength=len(self.class_names)).to(self.class_shares)
            self.class_shares.copy_(counts / counts.sum())

    def latents(self, vectors: Tensor, labels: Tensor) -> Latents:
        """`vectors`, with `labels` if the model is conditional."""
        return Latents(vectors, None if self.class_names is None else labels)

    def given(self, labels: Tensor | None) -> tuple[Tensor | None, ...]:
        """The arguments of a network behind the first: the labels, or nothing if the model is unconditional."""
        return () if self.class_names is None else (labels,)

    def check_predicted(self) -> None:
        """Refuse to look at images without labels.

        Raises:
            UserError: if a conditional model is to predict for `data.predict_path`.
        """
        data = getattr(self.trainer, "datamodule", None)
        if self.class_names is not None and getattr(data, "predict_path", None) is not None:
            raise UserError(
                "this model is conditional and needs the class of each image, but images of data.predict_path have "
                "none: leave it out to take the test images"
            )


@torch.no_grad()
def generate(network: nn.Module, latent: Latents | Tensor, device: torch.device) -> Tensor:
    """What a generator makes of any number of latent vectors, in evaluation mode; float32, on the CPU."""
    latents = latent if isinstance(latent, Latents) else Latents(latent)
    with evaluating(network):
        return torch.cat([network(*part.on(device)).float().cpu() for part in latents.parts(GENERATED_AT_ONCE)])


def evenly_spread(num_classes: int, most: int) -> list[int]:
    """All classes, or `most` of them, evenly spread."""
    if num_classes <= most:
        return list(range(num_classes))
    return torch.linspace(0, num_classes - 1, most).round().int().tolist()
