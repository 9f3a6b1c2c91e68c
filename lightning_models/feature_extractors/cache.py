"""Features of real images, computed once."""

import contextlib
import sys
import uuid
from pathlib import Path

import torch
from torch import Tensor

from lightning_models.feature_extractors.classifier import cache_folder
from lightning_models.feature_extractors.networks import FeatureNetwork, Features, hash_of

FORMAT = 1  # to be raised whenever the same images and network would give other features


def features_of_real(network: FeatureNetwork, images: Tensor, device: torch.device | str = "cpu") -> Features:
    """Features of `images` (images, channels, height, width) uint8, from the cache if they are in it.

    The name of the cache file is a hash of all pixels and of the network, so that other data, another split, another
    size or another network can never be mistaken for it.
    """
    key = hash_of([images], FORMAT, network.fingerprint)
    path = cache_folder() / "features" / f"{network.name}-{len(images)}-{key[:24]}.pt"
    if path.is_file():
        try:
            kept = torch.load(path, mmap=True, weights_only=True)
            return Features(kept["features"], kept["logits"])
        except (RuntimeError, OSError, EOFError, KeyError):
            print(f"the cache {path} is damaged: computing it again", file=sys.stderr)
    found = network.of(images, device)
    write(found, path)
    return found


def write(found: Features, path: Path) -> None:
    """Write the file beside its place and then rename it, so that it is never seen half-written."""
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save({"features": found.features, "logits": found.logits}, part)
        part.replace(path)
    except (OSError, RuntimeError) as error:  # PyTorch raises RuntimeError on a full disk
        print(f"the features could not be kept in {path}: {error}", file=sys.stderr)
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
