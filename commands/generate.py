"""sample and interpolate: pictures from a checkpoint alone."""

import argparse
from pathlib import Path

from commands.checkpoints import load_model
from commands.errors import UserError
from commands.usage_parser import Parser
from lightning_models.image_generator import ImageGenerator
from lightning_models.pictures import to_picture


def parse(command: str, options: list[str]) -> argparse.Namespace:
    """The options of `sample` or `interpolate`."""
    parser = Parser(prog=f"cli.py {command}", description=f"{command} from a checkpoint")
    parser.add_argument("--ckpt_path", required=True, help="a checkpoint, such as RUN/checkpoints/last.ckpt")
    parser.add_argument("--seed", type=int, default=0, help="of the latent vectors; the same seed, the same picture")
    if command == "sample":
        parser.add_argument("--count", type=int, default=64, help="number of images")
        parser.add_argument("--columns", type=int, default=None, help="images in a row; by default a square grid")
    else:
        parser.add_argument("--steps", type=int, default=9, help="number of images, both ends included")
        parser.add_argument(
            "--mode",
            choices=("spherical", "linear"),
            default="spherical",
            help="along a great circle, or a line",
        )
    default_output = "grid.png" if command == "sample" else "strip.png"
    parser.add_argument("--output", default=default_output, help=f"the picture's file, by default {default_output}")
    parser.add_argument("--overwrite", action="store_true", help="replace the file if it exists")
    return parser.parse_args(options)


def generate(command: str, options: list[str]) -> None:
    """Write the picture and say where it is."""
    given = parse(command, options)
    output = Path(given.output)
    if output.exists() and not given.overwrite:
        raise UserError(f"{output} exists: choose another --output, or give --overwrite")
    if not output.parent.is_dir():
        raise UserError(f"the folder of --output {output} does not exist")
    if output.suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp"):
        raise UserError(f"--output {output}: the name must end in .png, .jpg or .webp")
    if command == "sample" and given.count < 1:
        raise UserError(f"--count is {given.count}: expected at least 1")
    model = load_model(given.ckpt_path)
    if not isinstance(model, ImageGenerator):
        raise UserError(f"{given.ckpt_path} holds a {type(model).__name__}, which generates no images")
    if command == "sample":
        images = model.sample(given.count, given.seed)
        columns = given.columns or round(given.count**0.5)
    else:
        images = model.interpolation(given.steps, given.seed, given.mode)
        columns = given.steps
    to_picture(images, columns).save(output)
    print(f"{output}: {len(images)} images of {type(model).__name__}, seed {given.seed}")
