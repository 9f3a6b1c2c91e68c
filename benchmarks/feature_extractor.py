"""What the distances of a feature extractor see: they must grow with every step of what is wrong with the images.

    python -m benchmarks.feature_extractor --data Digits
    python -m benchmarks.feature_extractor --data faces.zip --size 64 [--checkpoints worst.ckpt ... best.ckpt]

Held-out images are compared with training images as they are, blurred, with noise, without some of their modes (groups
of similar images; the mean over five orders in which they go missing) and with images upside down among them. Samples
of checkpoints, from the worst to the best, must be ranked in that order. A row that does not grow is marked.
"""

import argparse
from itertools import pairwise
from statistics import mean

import torch
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from datamodules.images.datamodule import ImageDataModule
from datamodules.images.digits import Digits
from datamodules.images.folder import ImageFolder
from datamodules.images.mnist import MNIST
from lab.training.checkpoints import load_model
from lightning_models.feature_extractors.choice import classifier_name
from lightning_models.feature_extractors.classifier import ClassifierFeatures, find_classifier
from lightning_models.feature_extractors.contrastive import ContrastiveFeatures
from lightning_models.feature_extractors.networks import FeatureExtractor, RandomFeatures
from lightning_models.metrics.quality import Quality

COUNT = 2000  # images of each side
BLURS, NOISES = (0.5, 0.7, 1.0, 1.5), (0.03, 0.06, 0.12, 0.25)  # standard deviations, in pixels and of the range
MODES, SHARES = (1, 2, 4, 7), (0.05, 0.1, 0.2, 0.4)  # of ten modes that are missing; of images upside down


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.feature_extractor",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", default="Digits", help="Digits, MNIST, or a folder or .zip of images")
    parser.add_argument("--size", type=int, default=32, help="pixels of the images of a folder")
    parser.add_argument("--checkpoints", nargs="*", default=[], help="of models, from the worst to the best")
    given = parser.parse_args()
    data = data_of(given.data, given.size)
    known = data.train_images
    held_out = some(data.test_images if len(data.test_images) else data.val_images, COUNT)
    sets = {"as they are": [[held_out]], **corrupted(held_out)}
    if given.checkpoints:
        sets["samples"] = [[samples(path, len(held_out))] for path in given.checkpoints]
    print(f"{len(held_out):,} images against {min(len(known), COUNT):,} training images; Frechet distances")
    for network in extractors(data):
        network.prepare(known, "cpu", lambda make: make())
        print(f"\n{network.name}: {network.num_features} features")
        unchanged = 0.0
        for what, changed in sets.items():
            distances = [mean(distance(network, some(known, COUNT), images) for images in step) for step in changed]
            unchanged = distances[0] if what == "as they are" else unchanged
            steps = list(reversed(distances)) if what == "samples" else [unchanged, *distances]
            mark = (
                ""
                if all(one < next_one for one, next_one in pairwise(steps)) or len(changed) == 1
                else "   DOES NOT GROW"
            )
            print(f"  {what:14}" + "".join(f"{found:10.4g}" for found in distances) + mark, flush=True)


def data_of(name: str, size: int) -> ImageDataModule:
    """The data, read."""
    data = {"Digits": Digits, "MNIST": MNIST}.get(name, lambda: ImageFolder(path=name, image_size=size))()
    data.prepare_data()
    data.setup("fit")
    return data


def extractors(data: ImageDataModule) -> list[FeatureExtractor]:
    """The networks that images of this data can be compared by."""
    channels, height, width = data.train_images.shape[1:]
    published = find_classifier(classifier_name(data))
    trained = [ClassifierFeatures(published, (channels, height, width))] if published else []
    return [RandomFeatures((channels, height, width)), ContrastiveFeatures((channels, height, width)), *trained]


def some(images: Tensor, count: int) -> Tensor:
    """At most `count` of the images, the same ones each time."""
    return images[torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:count]]


def corrupted(images: Tensor) -> dict[str, list[list[Tensor]]]:
    """The images with more and more of each fault; of each step one set, or several to take the mean of."""
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    place = torch.arange(len(images)).view(-1, 1, 1, 1) / len(images)
    found = modes_of(images)
    orders = [torch.randperm(10, generator=torch.Generator().manual_seed(seed))[found] for seed in range(5)]
    return {
        "blur": [[gaussian_blur(images, [7, 7], [sigma, sigma])] for sigma in BLURS],
        "noise": [[(images + 255 * sigma * noise).clamp(0, 255).round().to(torch.uint8)] for sigma in NOISES],
        "modes missing": [[images[order >= missing] for order in orders] for missing in MODES],
        "upside down": [[torch.where(place < share, images.flip(2), images)] for share in SHARES],
    }


def modes_of(images: Tensor, count: int = 10, rounds: int = 20) -> Tensor:
    """The group of each image among `count` groups of similar ones: k-means on pixels."""
    points = images.flatten(1).float()
    centres = some(points, count)
    for _ in range(rounds):
        nearest = torch.cdist(points, centres).argmin(dim=1)
        members = [points[nearest == group] for group in range(count)]
        centres = torch.stack([own.mean(dim=0) if len(own) else old for own, old in zip(members, centres, strict=True)])
    return nearest


def samples(path: str, count: int) -> Tensor:
    """Images of a checkpoint, as 8-bit numbers."""
    model = load_model(path)
    with torch.no_grad():
        images: Tensor = model.decode(model.draw_latent(count, torch.Generator().manual_seed(0)))
    return (images.clamp(0, 1) * 255).round().to(torch.uint8)


def distance(network: FeatureExtractor, real: Tensor, fake: Tensor) -> float:
    """The Frechet distance of two sets of images."""
    quality = Quality(network.num_features, None, 0, torch.device("cpu"), 0)
    for images, is_real in ((real, True), (fake, False)):
        quality.update(network.extract(images).features, None, is_real, None)
    return float(quality.compute().values["fid"])


if __name__ == "__main__":
    main()
