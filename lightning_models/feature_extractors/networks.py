"""Networks whose features say how alike images are. Which one it was belongs to every number."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from lab.errors import UserError

ImageShape = tuple[int, int, int]
IMAGES_AT_ONCE = 500


@dataclass(frozen=True)
class Features:
    """What a network says of images: features (images, num_features), logits (images, ...) if it is a classifier."""

    features: Tensor
    logits: Tensor | None

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, rows: slice) -> "Features":
        return Features(self.features[rows], None if self.logits is None else self.logits[rows])


class FeatureNetwork(nn.Module, ABC):
    """Turns images of 8 bits a channel into features; always in evaluation mode, and never trained.

    Attributes:
        name: stands in the names of metrics: `fid_<name>`.
        description: for people.
        num_features: length of a feature vector.
        num_classes: of the classifier; none: it is none.
        accuracy: of the classifier on the test images, from 0 to 1, where it is known.
        fingerprint: hash of the weights and of how they are used: equal ones give equal features.
        searched: most training images among which the neighbours of generated ones are looked for.
    """

    name: str
    description: str
    num_features: int
    num_classes: int | None = None
    accuracy: float | None = None
    fingerprint: str
    searched = 60_000

    @abstractmethod
    def forward(self, images: Tensor) -> Features:
        """Features of `images` (batch, channels, height, width) uint8."""

    def class_logits(self, logits: Tensor) -> Tensor:
        """The logits of `forward` as (batch, num_classes)."""
        return logits

    def train(self, mode: bool = True) -> "FeatureNetwork":
        """Stay in evaluation mode."""
        super().train(False)
        return self

    @torch.no_grad()
    def of(self, images: Tensor, device: torch.device | str = "cpu") -> Features:
        """Features, on the CPU, of any number of images (images, channels, height, width) uint8."""
        self.to(device)
        if len(images) == 0:
            return Features(torch.empty(0, self.num_features), None)
        parts = [self(part.to(device)) for part in torch.split(images, IMAGES_AT_ONCE)]
        logits = [part.logits.cpu() for part in parts if part.logits is not None]
        return Features(torch.cat([part.features.cpu() for part in parts]), torch.cat(logits) if logits else None)


class RandomFeatures(FeatureNetwork):
    """Three convolutions with fixed random weights: the last resort, where no trained network fits the images.

    Random features still tell different images apart, but not by what people see in them. Numbers may be compared among
    runs on the same data only. A feature is the mean or the standard deviation of a channel over a quarter of the map.
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
        """See FeatureNetwork."""
        maps = images.float() / 127.5 - 1
        for weight in self.buffers():
            stride = 2 if min(maps.shape[2:]) >= 8 else 1  # a map of 2 x 2 has quarters still
            maps = torch.relu(torch.conv2d(maps, weight, stride=stride, padding=1))
        mean = nn.functional.adaptive_avg_pool2d(maps, 2)
        variance = nn.functional.adaptive_avg_pool2d(maps.square(), 2) - mean.square()
        return Features(torch.cat([mean, variance.clamp(min=0).sqrt()], dim=1).flatten(1), None)


class InceptionFeatures(FeatureNetwork):
    """The Inception-v3 of published Frechet distances (Heusel et al. 2017), through torchmetrics and torch-fidelity.

    Gray images are shown in all three channels. Its weights, 91 MB, are downloaded on first use.

    Raises:
        ValueError: if the package or the weights are missing.
    """

    name = "inception"
    description = "Inception-v3"
    num_features = 2048
    num_classes = 1008
    searched = 10_000  # 150 times as much work as a judge

    def __init__(self) -> None:
        super().__init__()
        if find_spec("torch_fidelity") is None:
            raise UserError(
                "Inception features need the package torch-fidelity: pip install -e '.[inception]', "
                "or choose --quality.network judge or random"
            )
        from torchmetrics.image.fid import NoTrainInceptionV3

        try:
            self.network = NoTrainInceptionV3("inception-v3-compat", ["2048", "logits_unbiased"])
        except (OSError, RuntimeError) as error:
            raise UserError(
                f"the weights of Inception-v3 are not in {inception_weights()} and cannot be downloaded ({error}): "
                "put them there, or choose --quality.network judge or random"
            ) from error
        self.fingerprint = hash_of(self.network.state_dict().values())

    def forward(self, images: Tensor) -> Features:
        """See FeatureNetwork."""
        if images.shape[1] == 1:
            images = images.expand(-1, 3, -1, -1)
        features, logits = self.network._torch_fidelity_forward(images)
        return Features(features.flatten(1), logits)


def inception_weights() -> Path:
    """Where torch-fidelity keeps the weights of its Inception-v3."""
    return Path(torch.hub.get_dir()) / "checkpoints" / "weights-inception-2015-12-05-6726825d.pth"


def hash_of(tensors: Iterable[Tensor], *more: object) -> str:
    """SHA-256 of the shapes, kinds and content of tensors, and of the text of whatever comes after."""
    digest = hashlib.sha256(repr(more).encode())
    for tensor in tensors:
        digest.update(f"{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
