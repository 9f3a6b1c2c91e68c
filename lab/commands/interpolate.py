"""interpolate: a strip of images between two latent vectors of a checkpoint."""

import argparse

import torch

from lab.commands.classes import CLASS_HELP, asked_classes
from lab.commands.output import picture_file, save_picture, writing
from lab.commands.parser import Parser
from lab.errors import UserError
from lab.training.checkpoints import load_model
from lightning_models.drawing.pictures import save_animation, to_picture
from lightning_models.modules.image_generator import ImageGenerator


def run(options: list[str]) -> None:
    """Write the strip and print where it is."""
    given = parse(options)
    model = load_model(given.ckpt_path)
    if not isinstance(model, ImageGenerator):
        raise UserError(f"{given.ckpt_path} holds a {type(model).__name__}, which generates no images")
    output = picture_file(given.output, given.overwrite, may_move=True)
    labels = None
    if given.classes is not None:
        classes = asked_classes(given.classes, model)
        if len(classes) > 2:
            raise UserError(f"--class {given.classes} names {len(classes)} classes: give one, or the two of the ends")
        labels = torch.tensor([classes[0], classes[-1]])
    images = model.interpolation(given.steps, given.seed, given.mode, labels)
    if output.suffix.lower() == ".gif":
        with writing(output) as unfinished:
            save_animation([to_picture(image.unsqueeze(0), 1) for image in images], unfinished)
    else:
        save_picture(to_picture(images, given.steps), output)
    print(f"{output}: {len(images)} images of {type(model).__name__}, seed {given.seed}")


def parse(options: list[str]) -> argparse.Namespace:
    """The options, with their defaults."""
    parser = Parser("interpolate", "Walk between two latent vectors of a checkpoint: a strip of images.")
    parser.add_argument("--ckpt_path", required=True, help="a checkpoint, such as RUN/checkpoints/last.ckpt")
    parser.add_argument("--seed", type=int, default=0, help="of the latent vectors; the same seed, the same strip")
    parser.add_argument("--output", default="strip.png", help="the picture's file, by default strip.png; a .gif moves")
    parser.add_argument("--steps", type=int, default=9, help="number of images, both ends included")
    parser.add_argument(
        "--mode", choices=("spherical", "linear"), default="spherical", help="along a great circle, or a line"
    )
    parser.add_argument("--class", dest="classes", help=f"{CLASS_HELP}; of two, the strip leads from one to the other")
    parser.add_argument("--overwrite", action="store_true", help="replace the file if it exists")
    return parser.parse_args(options)
