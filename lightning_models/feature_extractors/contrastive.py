"""Features learnt from the pictures themselves, for data without a classifier: views of one picture belong together."""

import sys
from itertools import pairwise
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from lab.files import atomic_write
from lightning_models.feature_extractors.classifier import cache_folder
from lightning_models.feature_extractors.networks import FeatureExtractor, Features, ImageShape, Share, hash_of

WIDTH = 32  # channels of the first convolution; later layers have up to four times as many
VIEW = 32  # largest height and width of a view, of larger images too
SECONDS_UP_TO = 16  # largest height and width for which the training takes seconds, and is not asked for
BATCH_SIZE, EPOCHS, STEPS = 256, 60, (300, 1000)  # about 60 epochs, within these steps
MOST_IMAGES, MOST_MEASURED = 50_000, 10_000  # that are learnt from; whose features have mean 0 and variance 1
SMALLEST_CROP, TEMPERATURE, LEARNING_RATE = 0.5, 0.2, 4e-3
FORMAT = 1  # increase it when the same images would give another network


class ContrastiveFeatures(FeatureExtractor):
    """A small network that has learnt which of many views show the same picture (SimCLR, Chen et al. 2020).

    Views are crops in another light. A feature is the mean of a channel over its map, of all layers, so that what the
    last ones have learnt to overlook, such as blur, is seen by the first ones; of the last layer there are the standard
    deviations, too. Every feature has mean 0 and variance 1 on the training images.

    Numbers can be compared between runs on the same training images only.

    Args:
        image_shape: (channels, height, width) of the images.
    """

    name = "contrastive"
    description = "a network that has learnt from these training images"
    mean: Tensor
    deviation: Tensor

    @torch.inference_mode(False)  # in which Lightning validates, and whose tensors cannot be trained
    def __init__(self, image_shape: ImageShape) -> None:
        super().__init__()
        smallest = min(*image_shape[1:], VIEW)
        widths, strides = [image_shape[0], WIDTH], [1 if smallest <= SECONDS_UP_TO else 2]
        smallest //= strides[0]
        while smallest > 4:
            widths.append(min(2 * widths[-1], 4 * WIDTH))
            strides.append(2)
            smallest = -(-smallest // 2)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.layers = nn.ModuleList(
                nn.Sequential(
                    nn.Conv2d(before, after, 3, stride, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()
                )
                for stride, (before, after) in zip(strides, pairwise(widths), strict=True)
            )
            self.projection = nn.Sequential(nn.Linear(widths[-1], widths[-1]), nn.ReLU(), nn.Linear(widths[-1], 64))
        self.num_features = sum(widths[1:]) + widths[-1]
        self.register_buffer("mean", torch.zeros(self.num_features))
        self.register_buffer("deviation", torch.ones(self.num_features))
        self.fingerprint = ""  # until it is prepared
        self.eval()

    def maps(self, images: Tensor) -> list[Tensor]:
        """The outputs of all layers for images in [-1, 1]."""
        maps = [images]
        for layer in self.layers:
            maps.append(layer(maps[-1]))
        return maps[1:]

    def forward(self, images: Tensor) -> Features:
        maps = self.maps(scaled(images))
        parts = [part.mean(dim=(2, 3)) for part in maps] + [maps[-1].std(dim=(2, 3))]
        return Features((torch.cat(parts, dim=1) - self.mean) / self.deviation, None)

    def prepare(self, images: Tensor, device: torch.device | str, share: Share) -> None:
        images = learnt_from(images)

        def state() -> dict[str, Tensor]:
            path = path_of(images)
            if (found := stored_state(path)) is None:
                print(f"quality      a feature extractor learns from {len(images):,} training images", file=sys.stderr)
                self.learn(images, device)
                found = {name: weight.cpu() for name, weight in self.state_dict().items()}
                store_state(found, path)
            return found

        self.load_state_dict(share(state))
        self.requires_grad_(False)
        self.fingerprint = hash_of(self.state_dict().values())

    @torch.inference_mode(False)
    def learn(self, images: Tensor, device: torch.device | str = "cpu") -> None:
        """Train on `images` (images, channels, height, width) uint8, then measure the features' means and variances."""
        generator = torch.Generator().manual_seed(0)
        steps = min(max(EPOCHS * len(images) // BATCH_SIZE, STEPS[0]), STEPS[1])
        self.to(device)
        optimizer = torch.optim.AdamW(self.parameters())
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
        trained = [module for module in self.modules() if isinstance(module, nn.BatchNorm2d)]
        with torch.enable_grad():
            for module in trained:
                module.train()
            for _ in tqdm(range(steps), "learning features", unit="batch", delay=2, disable=None):
                rows = torch.randint(len(images), (min(BATCH_SIZE, len(images)),), generator=generator)
                batch = scaled(images[rows].to(device))
                both = torch.cat([views(batch, generator), views(batch, generator)])
                projected = self.projection(self.maps(both)[-1].mean(dim=(2, 3)))
                loss = nt_xent(*projected.chunk(2))
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                optimizer.step()
                schedule.step()
            for module in trained:
                module.eval()
        features = self.extract(images[:MOST_MEASURED], device).features.to(device)
        self.mean.copy_(features.mean(dim=0))
        self.deviation.copy_(features.std(dim=0).clamp(min=1e-6))


def scaled(images: Tensor) -> Tensor:
    """Pixels from 0 to 255 as numbers from -1 to 1."""
    return images.float() / 127.5 - 1


def views(images: Tensor, generator: torch.Generator) -> Tensor:
    """Crops of `images` (batch, channels, height, width) in another light, at most VIEW pixels high and wide.

    A crop has half of the image's area or more; contrast is multiplied by 0.6 to 1.4, brightness moves by up to a tenth
    of its range.
    """
    n, channels, *size = images.shape
    drawn = torch.rand(5, n, generator=generator).to(images.device)
    side = (SMALLEST_CROP + (1 - SMALLEST_CROP) * drawn[0]).sqrt()
    place = torch.zeros(n, 2, 3, device=images.device)
    place[:, 0, 0] = place[:, 1, 1] = side
    place[:, 0, 2], place[:, 1, 2] = (2 * drawn[1] - 1) * (1 - side), (2 * drawn[2] - 1) * (1 - side)
    grid = functional.affine_grid(place, [n, channels, *(min(length, VIEW) for length in size)], align_corners=False)
    crops = functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    contrast, brightness = 0.6 + 0.8 * drawn[3], 0.4 * drawn[4] - 0.2
    return crops * contrast.view(-1, 1, 1, 1) + brightness.view(-1, 1, 1, 1)


def nt_xent(first: Tensor, second: Tensor) -> Tensor:
    """The mean normalized, temperature-scaled cross entropy (Chen et al. 2020, eq. 1) of pairs (batch, size)."""
    both = functional.normalize(torch.cat([first, second]), dim=1)
    similarity = (both @ both.T / TEMPERATURE).fill_diagonal_(-torch.inf)
    partners = torch.arange(len(both), device=both.device).roll(len(first))
    return functional.cross_entropy(similarity, partners)


def learnt_from(images: Tensor) -> Tensor:
    """The images that a network learns from: all, or MOST_IMAGES of them, the same ones each time."""
    if len(images) <= MOST_IMAGES:
        return images
    return images[torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:MOST_IMAGES]]


def is_trained(images: Tensor) -> bool:
    """Whether a network has learnt from these training images before."""
    return path_of(learnt_from(images)).is_file()


def path_of(images: Tensor) -> Path:
    """Where the network of `images` is stored: its name is a hash of every pixel and of how it learns."""
    key = hash_of([images], FORMAT, EPOCHS, STEPS)
    return cache_folder() / "feature_extractors" / f"contrastive-{key[:24]}.pt"


def stored_state(path: Path) -> dict[str, Tensor] | None:
    """The weights in a file; None if it is not there, or damaged."""
    if not path.is_file():
        return None
    try:
        found: dict[str, Tensor] = torch.load(path, weights_only=True)
        return found
    except (RuntimeError, OSError, EOFError, UnpicklingError):
        print(f"the feature extractor {path} is damaged: it is trained again", file=sys.stderr)
        return None


def store_state(state: dict[str, Tensor], path: Path) -> None:
    """Write the file; a cache that cannot be written is reported and costs only time."""
    try:
        with atomic_write(path) as unfinished:
            torch.save(state, unfinished)
    except (OSError, RuntimeError) as error:  # PyTorch raises RuntimeError on a full disk
        print(f"cannot store the feature extractor in {path}: {error}", file=sys.stderr)
