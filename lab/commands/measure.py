"""measure: how alike two sets of images are, of checkpoints, folders, .zip and .npz files."""

import argparse
import json
from pathlib import Path

import torch
from PIL import Image
from pytorch_lightning.utilities.seed import isolate_rng
from torch import Tensor

from datamodules.images.unscaled import read_images
from lab.commands.output import picture_file, save_picture
from lab.commands.parser import Parser
from lab.commands.single_images import Samples
from lab.errors import UserError
from lab.training.checkpoints import load_model
from lightning_models.drawing.pictures import to_picture
from lightning_models.feature_extractors.cache import features_of_real
from lightning_models.feature_extractors.choice import named_extractor
from lightning_models.feature_extractors.networks import FeatureExtractor
from lightning_models.metrics.quality import Quality
from lightning_models.metrics.report import table
from lightning_models.modules.image_generator import ImageGenerator

SAMPLES = 10_000  # of a checkpoint, by default
FEWEST = 2  # images of a place
SHOWN, NEIGHBOURS = 8, 7  # images and their nearest ones in a picture


def run(options: list[str]) -> None:
    """Print all measures of the first place's images against the second's."""
    given = parse(options)
    if given.count < FEWEST:
        raise UserError(f"--count is {given.count}: expected at least {FEWEST}")
    picture = None if given.nearest is None else picture_file(given.nearest, given.overwrite)
    fake, real = (images_of(place, given) for place in (given.images, given.reference))
    check_sizes(given, fake, real)
    if fake.shape[1] != real.shape[1]:
        fake, real = (images.expand(-1, 3, -1, -1) for images in (fake, real))
    channels, height, width = real.shape[1:]
    with isolate_rng():  # a network draws its initial weights before it gets those of a file
        network = named_extractor(given.network, (channels, height, width))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network.prepare(real, device, lambda make: make())
    report = compared(network, fake, real, given.seed, device)
    if picture is not None:
        save_picture(nearest_pictures(network, fake, real, device), picture)
    if given.json:
        print(json.dumps({"images": given.images, "reference": given.reference, **report}, indent=2))
    else:
        print(f"images       {given.images}\nreference    {given.reference}\n{table(report)}")


def parse(options: list[str]) -> argparse.Namespace:
    """The options, with their defaults."""
    parser = Parser("measure", "Compare two sets of images, such as samples with real ones, by all measures.")
    place = "a checkpoint, a folder, a .zip, or a .npz (images, height, width, channels)"
    parser.add_argument("images", metavar="IMAGES", help=f"what is judged: {place}")
    parser.add_argument("reference", metavar="REFERENCE", help="what it is compared with: the same")
    parser.add_argument(
        "--network",
        default="contrastive",
        help="feature extractor: contrastive, which first learns from the reference, once; inception; random; the name "
        "of a published classifier, such as mnist; or the path of a classifier's checkpoint",
    )
    parser.add_argument("--count", type=int, default=SAMPLES, help=f"images of a checkpoint, by default {SAMPLES:,}")
    parser.add_argument("--seed", type=int, default=0, help="of a checkpoint's images, and of random subsets")
    parser.add_argument(
        "--nearest",
        metavar="FILE",
        help=f"draw {SHOWN} of the images there, each with its nearest ones of the reference",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the picture if it exists")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args(options)


def images_of(place: str, given: argparse.Namespace) -> Tensor:
    """The images (images, channels, height, width) uint8 of a place.

    Raises:
        UserError: if there are none, or fewer than two.
    """
    path = Path(place).expanduser()
    if path.suffix.lower() != ".ckpt":
        images = read_images(path)
        if len(images) < FEWEST:
            raise UserError(f"{place} holds {len(images)} image: expected at least {FEWEST}")
        return images
    model = load_model(place)
    if not isinstance(model, ImageGenerator):
        raise UserError(f"{place} holds a {type(model).__name__}, which generates no images")
    if torch.cuda.is_available():
        model.cuda()
    made = Samples(model, place, given.seed, None).images(given.count, lambda number: True)
    return torch.cat([images for _, images, _ in made]).permute(0, 3, 1, 2).contiguous()


def check_sizes(given: argparse.Namespace, fake: Tensor, real: Tensor) -> None:
    """Raise a UserError for images of two sizes."""
    (height, width), (other_height, other_width) = fake.shape[2:], real.shape[2:]
    if (height, width) != (other_height, other_width):
        raise UserError(
            f"{given.images} has images of {width} x {height} pixels, {given.reference} of {other_width} x "
            f"{other_height}: scale one of them, for a distance sees every scaling"
        )


def compared(network: FeatureExtractor, fake: Tensor, real: Tensor, seed: int, device: str) -> dict[str, object]:
    """All measures, as `lightning_models.metrics.report` shows them."""
    quality = Quality(network.num_features, network.num_classes, seed, device)
    known = features_of_real(network, real, device)
    for found, is_real in ((known, True), (network.extract(fake, device), False)):
        logits = None if found.logits is None else network.class_logits(found.logits)
        quality.update(found.features, logits, is_real)
    measured = quality.compute()
    return {
        "network": network.name,
        "description": network.description,
        "accuracy": network.accuracy,
        "sha256": network.fingerprint,
        "n_real": len(real),
        "n_fake": len(fake),
        "real_images": "reference",
        "seed": seed,
        "baseline": {},
        "values": measured.values,
        "problems": measured.problems,
    }


def nearest_pictures(network: FeatureExtractor, fake: Tensor, real: Tensor, device: str) -> Image.Image:
    """A row for each of SHOWN images: the image, a gap, and its nearest ones of the reference, the nearest first."""
    known = features_of_real(network, real, device).features
    shown = fake[:SHOWN]
    distances = torch.cdist(network.extract(shown, device).features.double(), known.double())
    nearest = distances.topk(min(NEIGHBOURS, len(real)), largest=False).indices
    gap = torch.full_like(shown[:1], 128)
    rows = [torch.cat([one.unsqueeze(0), gap, real[found]]) for one, found in zip(shown, nearest, strict=True)]
    return to_picture(torch.cat(rows).float() / 255, len(rows[0]))
