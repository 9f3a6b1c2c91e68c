"""Feature extractors: networks whose features measure how alike images are."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lab.errors import UserError

ImageShape = tuple[int, int, int]
Share = Callable[[Callable[[], Any]], Any]  # what the first of several processes makes, for all of them
IMAGES_AT_ONCE = 500


@dataclass(frozen=True)
class Features:
    """Output of a feature extractor: features (images, num_features), and logits (images, ...) of a classifier.

    Where they are known, labels (images,): the images' classes, or those that were asked for.
    """

    features: Tensor
    logits: Tensor | None
    labels: Tensor | None = None

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, rows: slice) -> "Features":
        logits, labels = (None if part is None else part[rows] for part in (self.logits, self.labels))
        return Features(self.features[rows], logits, labels)


class FeatureExtractor(nn.Module, ABC):
    """Maps images of 8 bits a channel to features; always in evaluation mode, never trained.

    Attributes:
        name: part of the names of metrics, `fid_<name>`.
        description: a few words for people.
        num_features: length of a feature vector.
        num_classes: number of classes of a classifier; None for other networks.
        accuracy: accuracy of a classifier on its test images, from 0 to 1; None if unknown.
        fingerprint: hash of the weights and of how they are used; equal hashes mean equal features.
        max_neighbours: most training images among which the nearest one to a generated image is searched.
    """

    name: str
    description: str
    num_features: int
    num_classes: int | None = None
    accuracy: float | None = None
    fingerprint: str
    max_neighbours = 60_000

    @abstractmethod
    def forward(self, images: Tensor) -> Features:
        """Features of a batch of `images` (batch, channels, height, width) uint8."""

    def prepare(self, images: Tensor, device: torch.device | str, share: Share) -> None:
        """Called once, before the first features, with the training images (images, channels, height, width) uint8."""

    def class_logits(self, logits: Tensor) -> Tensor:
        """The logits of `forward` as (batch, num_classes)."""
        return logits

    def train(self, mode: bool = True) -> "FeatureExtractor":
        """Stay in evaluation mode, whatever `mode` is."""
        super().train(False)
        return self

    @torch.no_grad()
    def extract(self, images: Tensor, device: torch.device | str = "cpu") -> Features:
        """Features, on the CPU, of any number of images (images, channels, height, width) uint8."""
        self.to(device)
        if len(images) == 0:
            return Features(torch.empty(0, self.num_features), None)
        parts = [self(part.to(device)) for part in torch.split(images, IMAGES_AT_ONCE)]
        logits = [part.logits.cpu() for part in parts if part.logits is not None]
        return Features(torch.cat([part.features.cpu() for part in parts]), torch.cat(logits) if logits else None)


class RandomFeatures(FeatureExtractor):
    """Three convolutions with fixed random weights, for images that no trained network fits.

    Random features distinguish images, but not by what people see in them. Their numbers can be compared only between
    runs on the same data. A feature is the mean or the standard deviation of a channel over a quarter of the map.
    """

    name = "random"
    description = "random convolutions"

    def __init__(self, image_shape: ImageShape) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        widths = [image_shape[0], 16, 32, 64]
        self.num_features = 8 * widths[-1]
        for index, (before, after) in enumerate(pairwise(widths)):
            weight = torch.randn(after, before, 3, 3, generator=generator) * (2 / (9 * before)) ** 0.5
            self.register_buffer(f"weight{index}", weight)
        self.fingerprint = hash_of(self.state_dict().values())

    def forward(self, images: Tensor) -> Features:
        maps = images.float() / 127.5 - 1
        for weight in self.buffers():
            stride = 2 if min(maps.shape[2:]) >= 8 else 1  # so that at least 2 x 2 remain
            maps = torch.relu(torch.conv2d(maps, weight, stride=stride, padding=1))
        mean = nn.functional.adaptive_avg_pool2d(maps, 2)
        variance = nn.functional.adaptive_avg_pool2d(maps.square(), 2) - mean.square()
        return Features(torch.cat([mean, variance.clamp(min=0).sqrt()], dim=1).flatten(1), None)


class InceptionFeatures(FeatureExtractor):
    """The Inception-v3 of published Frechet distances (Heusel et al. 2017), through torchmetrics and torch-fidelity.

    Grayscale images are repeated in all three channels. Its weights, 91 MB, are downloaded on first use.

    Raises:
        UserError: if the package or the weights are missing.
    """

    name = "inception"
    description = "Inception-v3"
    num_features = 2048
    num_classes = 1008
    max_neighbours = 10_000  # an image takes 150 times as long as with a small classifier

    def __init__(self) -> None:
        super().__init__()
        if find_spec("torch_fidelity") is None:
            raise UserError(
                "Inception features need the package torch-fidelity: pip install -e '.[inception]', "
                "or choose --quality.network classifier or random"
            )
        from torchmetrics.image.fid import NoTrainInceptionV3

        try:
            self.network = NoTrainInceptionV3("inception-v3-compat", ["2048"])
        except (OSError, RuntimeError) as error:
            raise UserError(
                f"the weights of Inception-v3 are not in {inception_weights()} and cannot be downloaded ({error}): "
                "put them there, or choose --quality.network classifier or random"
            ) from error
        self.fingerprint = hash_of(self.network.state_dict().values())

    def forward(self, images: Tensor) -> Features:
        if images.shape[1] == 1:
            images = images.expand(-1, 3, -1, -1)
        features = self.network(images)
        return Features(features, features.mm(self.network.fc.weight.T))  # logits without bias, as in published scores


def inception_weights() -> Path:
    """Where torch-fidelity stores the weights of its Inception-v3."""
    return Path(torch.hub.get_dir()) / "checkpoints" / "weights-inception-2015-12-05-6726825d.pth"


def hash_of(tensors: Iterable[Tensor], *more: object) -> str:
    """SHA-256 of the shapes, dtypes and contents of `tensors` and of the representation of everything else."""
    digest = hashlib.sha256(repr(more).encode())
    for tensor in tensors:
        digest.update(f"{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
