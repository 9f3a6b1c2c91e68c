"""Classifiers of this project as feature extractors; published ones are stored in the user's cache."""

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

from torch import Tensor

from lab.errors import UserError, UserFileError
from lab.files import atomic_write
from lightning_models.feature_extractors.networks import FeatureExtractor, Features, ImageShape
from lightning_models.modules.class_paths import check_checkpoint_names, class_at
from lightning_models.modules.plain_checkpoint import PlainCheckpoint, open_checkpoint

OLD_FOLDER = "judges"  # where version 0.1 published classifiers
WITH_CONFIGS = ("mnist", "digits")  # configs/classifier/<name>_features.yaml trains and publishes these


def cache_folder() -> Path:
    """`lightning_models` in the user's cache, $XDG_CACHE_HOME or ~/.cache; decoded images are stored there too."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "lightning_models"


def classifier_path(name: str) -> Path:
    """Where the classifier of the data `name` is published; a .json of the same name describes it."""
    return cache_folder() / "feature_extractors" / f"{name}.ckpt"


def find_classifier(name: str) -> Path | None:
    """The published classifier of the data `name`, such as "mnist"; None if there is none."""
    old = cache_folder() / OLD_FOLDER / f"{name}.ckpt"
    return next((path for path in (classifier_path(name), old) if path.is_file()), None)


def publish(checkpoint: Path, name: str, facts: dict[str, Any]) -> Path:
    """Copy a checkpoint into the cache, with `facts` and its hash in a .json."""
    target = classifier_path(name)
    description = json.dumps({"name": name, "sha256": sha256(checkpoint), **facts}, indent=2) + "\n"
    with atomic_write(target) as unfinished:
        shutil.copyfile(checkpoint, unfinished)
    with atomic_write(target.with_suffix(".json")) as unfinished:
        unfinished.write_text(description)
    return target


def sha256(path: Path) -> str:
    """SHA-256 of a file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


class ClassifierFeatures(FeatureExtractor):
    """A classifier of this project as a feature extractor: its features are the inputs of its last layer.

    Args:
        path: checkpoint of the classifier, published or from any run.
        image_shape: (channels, height, width) of the images to compare.
        channelwise: classify each channel alone, with a classifier of single channels; the classes are then all
            combinations.

    Raises:
        UserError: if the file is no such checkpoint, is not the one that was published, or does not fit the images.
    """

    def __init__(self, path: Path, image_shape: ImageShape, channelwise: bool = False) -> None:
        super().__init__()
        facts = read_facts(path)
        self.classifier: Any = load_classifier(path)
        made_for = tuple(self.classifier.image_shape)
        self.channels = image_shape[0] if channelwise else 1
        if made_for != ((1, *image_shape[1:]) if channelwise else tuple(image_shape)):
            raise UserError(
                f"the classifier {path} takes images of {dimensions(made_for)}, but these are "
                f"{dimensions(image_shape)} (channels x height x width): train one on such images, or choose another "
                "--quality.network"
            )
        self.name = facts.get("name", path.stem)
        self.accuracy = facts.get("accuracy")
        self.description = f"classifier {path}"
        self.num_features = self.classifier.network.num_features * self.channels
        self.num_classes = self.classifier.num_classes**self.channels
        self.max_neighbours //= self.channels  # for the same time
        self.fingerprint = facts.get("sha256") or sha256(path)
        low, high = self.classifier.value_range
        self.scale, self.low = (high - low) / 255, low

    def forward(self, images: Tensor) -> Features:
        """See FeatureExtractor; the features of several channels are joined, logits are then (batch, C, classes)."""
        network = self.classifier.network
        scaled = images.float() * self.scale + self.low
        if self.channels == 1:
            features = network.features(scaled)
            return Features(features, network.head(features))
        features = network.features(scaled.flatten(0, 1).unsqueeze(1)).view(len(images), self.channels, -1)
        return Features(features.flatten(1), network.head(features))

    def class_logits(self, logits: Tensor) -> Tensor:
        """Logits (batch, num_classes); of several channels, log-probabilities of all combinations of their classes.

        The class of the first channel is the most significant digit.
        """
        if self.channels == 1:
            return logits
        joint, *others = logits.log_softmax(dim=2).unbind(dim=1)
        for other in others:
            joint = (joint.unsqueeze(2) + other.unsqueeze(1)).flatten(1)
        return joint


def read_facts(path: Path) -> dict[str, Any]:
    """The description of a published classifier, whose hash is checked; empty for any other checkpoint.

    Raises:
        UserError: if the checkpoint is missing, or not the one that was published.
    """
    if not path.is_file():
        raise UserFileError(
            f"there is no classifier {path}: give the path of a classifier's checkpoint, or one of "
            "auto, classifier, inception, random, none (--quality.network)"
        )
    description = path.with_suffix(".json")
    if not description.is_file():
        return {}
    facts: dict[str, Any] = json.loads(description.read_text())
    if facts.get("sha256") != sha256(path):
        raise UserError(
            f"{path} is not the classifier that {description.name} describes: delete both and train it again"
        )
    return facts


def how_to_train(name: str) -> str:
    """How to train a classifier of the data `name`, as an instruction."""
    config = Path("configs") / "classifier" / f"{name}_features.yaml"
    if name in WITH_CONFIGS:
        return f"To train one: python cli.py fit -c {config}"
    return "docs/metrics.md says how to train one"


def load_classifier(path: Path) -> Any:
    """The classifier of a checkpoint, on the CPU, in evaluation mode, without gradients.

    Raises:
        UserError: if the file holds none.
    """
    checkpoint = open_checkpoint(path, every_byte=True)
    check_checkpoint_names(checkpoint, path)
    name = str(checkpoint.get("model_class"))
    family = class_at(name) if "." in name else None
    if not (isinstance(family, type) and issubclass(family, PlainCheckpoint) and hasattr(family, "features")):
        raise UserError(f"{path} holds a {name.rpartition('.')[2]}: expected an ImageClassifier")
    return family.load_from_checkpoint(path, map_location="cpu", weights_only=True).eval().requires_grad_(False)


def dimensions(shape: tuple[int, ...]) -> str:
    """`1 x 28 x 28`."""
    return " x ".join(map(str, shape))
