"""Judges: classifiers of the project's own whose features measure generated images, kept in the user's cache."""

import hashlib
import importlib
import json
import os
import shutil
import uuid
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lab.errors import UserError
from lightning_models.feature_extractors.networks import FeatureNetwork, Features, ImageShape


def cache_folder() -> Path:
    """`lightning_models` in the user's cache, $XDG_CACHE_HOME or ~/.cache; decoded images lie there too."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "lightning_models"


def judge_path(name: str) -> Path:
    """Where the judge of the data `name` lies; a .json of the same name says what it is."""
    return cache_folder() / "judges" / f"{name}.ckpt"


def find_judge(name: str) -> Path | None:
    """The published judge of the data `name`, such as "mnist"; None if there is none."""
    path = judge_path(name)
    return path if path.is_file() else None


def publish(checkpoint: Path, name: str, facts: dict[str, Any]) -> Path:
    """Copy a checkpoint into the cache, with `facts` and its hash in a .json; each is written beside, then renamed."""
    target = judge_path(name)
    target.parent.mkdir(parents=True, exist_ok=True)
    described = json.dumps({"name": name, "sha256": sha256(checkpoint), **facts}, indent=2) + "\n"
    part = target.with_name(f"{target.name}.{uuid.uuid4().hex}.part")
    try:
        shutil.copyfile(checkpoint, part)
        part.replace(target)
        part.write_text(described)
        part.replace(target.with_suffix(".json"))
    finally:
        part.unlink(missing_ok=True)
    return target


def sha256(path: Path) -> str:
    """Of a file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Judge(FeatureNetwork):
    """A classifier of this project's as a feature network: what its last layer decides by.

    Args:
        path: its checkpoint, published or of any run.
        image_shape: of the images that it is to judge. It takes 3 channels, each alone, if it was made for 1 and
            `channelwise` is set; the classes are then all combinations.
        channelwise: see `image_shape`.

    Raises:
        ValueError: if the file is no such checkpoint, is not the one that was published, or does not fit the images.
    """

    def __init__(self, path: Path, image_shape: ImageShape, channelwise: bool = False) -> None:
        super().__init__()
        facts = read_facts(path)
        self.classifier: Any = load_classifier(path)
        made_for = tuple(self.classifier.image_shape)
        self.channels = image_shape[0] if channelwise else 1
        if made_for != ((1, *image_shape[1:]) if channelwise else tuple(image_shape)):
            raise UserError(
                f"the judge {path} takes images of {by(made_for)}, but these are {by(image_shape)} "
                "(channels x height x width): train one on such images, or choose another --quality.network"
            )
        self.name = facts.get("name", path.stem)
        self.accuracy = facts.get("accuracy")
        self.description = f"judge {path}"
        self.num_features = self.classifier.network.num_features * self.channels
        self.num_classes = self.classifier.num_classes**self.channels
        self.searched = self.searched // self.channels  # the same work
        self.fingerprint = facts.get("sha256") or sha256(path)
        low, high = self.classifier.value_range
        self.scale, self.low = (high - low) / 255, low

    def forward(self, images: Tensor) -> Features:
        """See FeatureNetwork; with several channels the features stand in a row, and logits are (batch, C, classes)."""
        network = self.classifier.network
        scaled = images.float() * self.scale + self.low
        if self.channels == 1:
            features = network.features(scaled)
            return Features(features, network.head(features))
        features = network.features(scaled.flatten(0, 1).unsqueeze(1)).view(len(images), self.channels, -1)
        return Features(features.flatten(1), network.head(features))

    def class_logits(self, logits: Tensor) -> Tensor:
        """Log-probabilities of all combinations of the channels' classes, the first channel's number first."""
        if self.channels == 1:
            return logits
        joint, *others = logits.log_softmax(dim=2).unbind(dim=1)
        for other in others:
            joint = (joint.unsqueeze(2) + other.unsqueeze(1)).flatten(1)
        return joint


def read_facts(path: Path) -> dict[str, Any]:
    """What is written beside a published judge, its hash checked; nothing for any other checkpoint.

    Raises:
        ValueError: if the checkpoint is missing, or not the one that was published.
    """
    if not path.is_file():
        raise UserError(
            f"there is no judge {path}: give a classifier's checkpoint, or one of auto, judge, inception, random, none"
        )
    described = path.with_suffix(".json")
    if not described.is_file():
        return {}
    facts: dict[str, Any] = json.loads(described.read_text())
    if facts.get("sha256") != sha256(path):
        raise UserError(f"{path} is not the judge that {described.name} describes: delete both and train it again")
    return facts


def how_to_train(name: str) -> str:
    """What makes a judge of the data `name`."""
    config = Path("configs") / "classifier" / f"{name}_judge.yaml"
    if name in ("mnist", "digits"):
        return f"To train one: python cli.py fit -c {config}"
    return "docs/metrics.md says how to train one"


def load_classifier(path: Path) -> Any:
    """The classifier of a checkpoint, on the CPU, in evaluation mode, without gradients.

    Raises:
        ValueError: if the file holds none.
    """
    if not zipfile.is_zipfile(path):
        raise UserError(f"{path} is no checkpoint, or is cut off: train the judge again")
    name = torch.load(path, map_location="cpu", weights_only=True, mmap=True).get("model_class", "")
    module_name, _, class_name = name.rpartition(".")
    if not module_name.startswith("lightning_models."):
        raise UserError(f"{path} holds no model of this project: a judge is an ImageClassifier")
    kind = getattr(importlib.import_module(module_name), class_name, None)
    if kind is None or not hasattr(kind, "features"):
        raise UserError(f"{path} holds a {class_name}: a judge is an ImageClassifier")
    return kind.load_from_checkpoint(path, map_location="cpu", weights_only=True).eval().requires_grad_(False)


def by(shape: tuple[int, ...]) -> str:
    """`1 x 28 x 28`."""
    return " x ".join(map(str, shape))
