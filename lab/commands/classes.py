"""The option --class of commands that generate images."""

import torch
from torch import Tensor

from datamodules.images.class_subset import chosen_classes
from lab.errors import UserError
from lightning_models.modules.image_generator import ImageGenerator

CLASS_HELP = "of a conditional model: a class by name or number, several with commas, or all"


def asked_classes(given: str, model: ImageGenerator) -> list[int]:
    """The numbers of the classes that `--class` names.

    Raises:
        UserError: for a class that does not exist, or an unconditional model.
    """
    if model.class_names is None:
        raise UserError(
            f"--class {given}: this {type(model).__name__} is unconditional and cannot be asked for a class: leave it "
            "out, or train one with --model.conditional true"
        )
    names = model.class_names
    if given == "all" and "all" not in names:
        return list(range(len(names)))
    try:
        return chosen_classes([name.strip() for name in given.split(",")], names)
    except UserError as error:
        raise UserError(f"--class {given}: {error}") from error


def rows_of(classes: list[int], count: int) -> Tensor:
    """Labels of about `count` images, equally many of each class, one class after the other."""
    return torch.tensor(classes).repeat_interleave(max(1, count // len(classes)))
