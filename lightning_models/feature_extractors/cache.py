"""Features of real images, computed once."""

import sys
from pathlib import Path

import torch
from torch import Tensor

from lab.files import atomic_write
from lightning_models.feature_extractors.classifier import cache_folder
from lightning_models.feature_extractors.networks import FeatureExtractor, Features, hash_of

FORMAT = 1  # increase it when the same images and network would give other features


def features_of_real(extractor: FeatureExtractor, images: Tensor, device: torch.device | str = "cpu") -> Features:
    """Features of `images` (images, channels, height, width) uint8, from the cache if they are in it.

    The file is named by a hash of all pixels and of the feature extractor: other data, another split, size or network
    has another file.
    """
    key = hash_of([images], FORMAT, extractor.fingerprint)
    path = cache_folder() / "features" / f"{extractor.name}-{len(images)}-{key[:24]}.pt"
    if path.is_file():
        try:
            stored = torch.load(path, mmap=True, weights_only=True)
            return Features(stored["features"], stored["logits"])
        except (RuntimeError, OSError, EOFError, KeyError):
            print(f"the cache {path} is damaged: its features are computed again", file=sys.stderr)
    found = extractor.extract(images, device)
    store(found, path)
    return found


def store(found: Features, path: Path) -> None:
    """Write the file; a cache that cannot be written is reported and costs only time."""
    try:
        with atomic_write(path) as unfinished:
            torch.save({"features": found.features, "logits": found.logits}, unfinished)
    except (OSError, RuntimeError) as error:  # PyTorch raises RuntimeError on a full disk
        print(f"cannot store the features of real images in {path}: {error}", file=sys.stderr)
