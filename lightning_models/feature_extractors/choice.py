"""Which feature extractor compares the images of a data set."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch import Tensor

from lab.errors import UserError
from lightning_models.feature_extractors.classifier import ClassifierFeatures, find_classifier, how_to_train
from lightning_models.feature_extractors.contrastive import SECONDS_UP_TO, ContrastiveFeatures, is_trained
from lightning_models.feature_extractors.networks import (
    FeatureExtractor,
    ImageShape,
    InceptionFeatures,
    RandomFeatures,
    inception_weights,
)

OLD_NAMES = {"judge": "classifier"}  # values of --quality.network of version 0.1


def choose_extractor(
    option: str, data: Any, image_shape: ImageShape, during_fit: bool, images: Tensor | None = None
) -> tuple[FeatureExtractor | None, list[str]]:
    """The feature extractor that `option` (see SampleQuality) means for images of `data`, and notes for the user.

    `images` are the training images, where they have been read: a network may have learnt from them before.

    Raises:
        UserError: if the option names a network that is missing or does not fit the images.
    """
    option = OLD_NAMES.get(option, option)
    channelwise = bool(getattr(data, "classified_by_channel", False))
    if option == "none":
        return None, []
    if option == "random":
        return RandomFeatures(image_shape), []
    if option == "inception":
        return InceptionFeatures(), []
    if option == "contrastive":
        return ContrastiveFeatures(image_shape), []
    name = classifier_name(data)
    if option not in ("auto", "classifier"):
        return ClassifierFeatures(Path(option), image_shape, channelwise), []
    path = find_classifier(name)
    if option == "classifier":
        if path is None:
            raise UserError(f"there is no classifier of {name} images: {how_to_train(name)}")
        return ClassifierFeatures(path, image_shape, channelwise), []

    if path is None:
        reason = f"there is no classifier of {name} images"
    else:
        try:
            return ClassifierFeatures(path, image_shape, channelwise), []
        except UserError as error:
            reason = str(error)
    is_inception_there = find_spec("torch_fidelity") is not None and inception_weights().is_file()
    if not during_fit and image_shape[0] == 3 and is_inception_there:
        return InceptionFeatures(), []
    takes_seconds = max(image_shape[1:]) <= SECONDS_UP_TO
    if during_fit and not takes_seconds and (images is None or not is_trained(images)):
        return None, [
            f"quality      not measured during training: {reason}. {how_to_train(name)}. Or choose --quality.network "
            "contrastive: a small network first learns from the training images, once, in minutes"
        ]
    return ContrastiveFeatures(image_shape), [
        f"quality      {reason}: measured with a small network that learns from the training images, whose numbers can "
        f"be compared only between runs on these. {how_to_train(name)}"
    ]


def named_extractor(name: str, image_shape: ImageShape) -> FeatureExtractor:
    """A feature extractor by its kind, by the name of a published classifier, or by a classifier's checkpoint.

    Raises:
        UserError: if it is missing or does not fit the images.
    """
    kinds = {"contrastive": ContrastiveFeatures, "random": RandomFeatures}
    if name in kinds:
        return kinds[name](image_shape)
    if name == "inception":
        return InceptionFeatures()
    return ClassifierFeatures(find_classifier(name) or Path(name), image_shape)


def classifier_name(data: Any) -> str:
    """The name of the published classifier for the images of a data module: "mnist" for MNIST and StackedMNIST."""
    return getattr(data, "feature_classifier", None) or type(data).__name__.lower()
