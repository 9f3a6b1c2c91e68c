"""Which network compares the images of a data set."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lab.errors import UserError
from lightning_models.feature_extractors.classifier import Judge, find_judge, how_to_train
from lightning_models.feature_extractors.networks import (
    FeatureNetwork,
    ImageShape,
    InceptionFeatures,
    RandomFeatures,
    inception_weights,
)


def choose_network(
    option: str, data: Any, image_shape: ImageShape, during_fit: bool
) -> tuple[FeatureNetwork | None, list[str]]:
    """The network that `option` (see SampleQuality) means for images of `data`, and what a user should know of it.

    Raises:
        ValueError: if a network was asked for that is missing or does not fit the images.
    """
    channelwise = bool(getattr(data, "judged_by_channel", False))
    if option == "none":
        return None, []
    if option == "random":
        return RandomFeatures(image_shape), []
    if option == "inception":
        return InceptionFeatures(), []
    name = getattr(data, "judge", None) or type(data).__name__.lower()
    if option not in ("auto", "judge"):
        return Judge(Path(option), image_shape, channelwise), []
    path = find_judge(name)
    if option == "judge":
        if path is None:
            raise UserError(f"there is no judge of {name} images: {how_to_train(name)}")
        return Judge(path, image_shape, channelwise), []

    if path is None:
        reason = f"there is no judge of {name} images"
    else:
        try:
            return Judge(path, image_shape, channelwise), []
        except ValueError as error:
            reason = str(error)
    if during_fit:
        return None, [f"quality      not measured during training: {reason}. {how_to_train(name)}"]
    if image_shape[0] == 3 and find_spec("torch_fidelity") is not None and inception_weights().is_file():
        return InceptionFeatures(), []
    return RandomFeatures(image_shape), [
        f"quality      {reason}: measured by random convolutions, whose numbers compare runs on this data only. "
        f"{how_to_train(name)}"
    ]
