"""sample and interpolate: pictures or text from a checkpoint alone."""

import argparse
from pathlib import Path
from typing import Any

from pytorch_lightning import LightningModule

from lab.commands.parser import Parser
from lab.errors import UserError
from lab.training.checkpoints import load_model
from lightning_models.drawing.pictures import to_picture
from lightning_models.language_model import CharLanguageModel
from lightning_models.modules.image_generator import ImageGenerator

PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".webp")
OF_IMAGES: dict[str, Any] = {"count": 64, "columns": None}  # options of `sample`, with their defaults
OF_TEXT: dict[str, Any] = {"length": 1000, "prompt": "", "temperature": 0.8, "top_k": None, "top_p": None}


def parse(command: str, options: list[str]) -> argparse.Namespace:
    """The options of `sample` or `interpolate`; those of one kind of model are None unless they were given."""
    parser = Parser(prog=f"cli.py {command}", description=f"{command} from a checkpoint")
    parser.add_argument("--ckpt_path", required=True, help="a checkpoint, such as RUN/checkpoints/last.ckpt")
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn; the same seed, the same result")
    if command == "sample":
        parser.add_argument("--output", help="the file: grid.png by default; of text none, it is printed")
        images = parser.add_argument_group("a model of images (GAN, VAE)")
        images.add_argument("--count", type=int, help="number of images, by default 64")
        images.add_argument("--columns", type=int, help="images in a row; by default a square grid")
        text = parser.add_argument_group("a language model")
        text.add_argument("--length", type=int, help="characters after the prompt, by default 1000")
        text.add_argument("--prompt", help="what the text begins with; by default it starts as after an empty line")
        text.add_argument("--temperature", type=float, help="above 0, by default 0.8; below 1 the likely gets likelier")
        text.add_argument("--top_k", type=int, help="only so many of the likeliest characters, by default all")
        text.add_argument("--top_p", type=float, help="only the likeliest that together have this probability, up to 1")
    else:
        parser.add_argument("--output", help="the picture's file, by default strip.png")
        parser.add_argument("--steps", type=int, default=9, help="number of images, both ends included")
        parser.add_argument(
            "--mode",
            choices=("spherical", "linear"),
            default="spherical",
            help="along a great circle, or a line",
        )
    parser.add_argument("--overwrite", action="store_true", help="replace the file if it exists")
    return parser.parse_args(options)


def generate(command: str, options: list[str]) -> None:
    """Write the picture or the text and say where it is."""
    given = parse(command, options)
    model = load_model(given.ckpt_path)
    if command == "sample" and isinstance(model, CharLanguageModel):
        sample_text(model, given)
    elif isinstance(model, ImageGenerator):
        sample_images(model, command, given)
    else:
        raise UserError(f"{given.ckpt_path} holds a {type(model).__name__}, which generates no images")


def sample_images(model: ImageGenerator, command: str, given: argparse.Namespace) -> None:
    """A grid, or for `interpolate` a strip."""
    output = writable(given.output or ("grid.png" if command == "sample" else "strip.png"), given.overwrite)
    if output.suffix.lower() not in PICTURE_ENDINGS:
        raise UserError(f"--output {output}: the name must end in .png, .jpg or .webp")
    if command == "sample":
        count, columns = chosen(given, OF_IMAGES, OF_TEXT, "a language model", model)
        if count < 1:
            raise UserError(f"--count is {count}: expected at least 1")
        images, columns = model.sample(count, given.seed), columns or round(count**0.5)
    else:
        images, columns = model.interpolation(given.steps, given.seed, given.mode), given.steps
    to_picture(images, columns).save(output)
    print(f"{output}: {len(images)} images of {type(model).__name__}, seed {given.seed}")


def sample_text(model: CharLanguageModel, given: argparse.Namespace) -> None:
    """A text into a file, or printed."""
    length, prompt, temperature, top_k, top_p = chosen(given, OF_TEXT, OF_IMAGES, "a model of images", model)
    output = None if given.output is None else writable(given.output, given.overwrite)
    if output is not None and output.suffix.lower() in PICTURE_ENDINGS:
        raise UserError(f"--output {output}: {given.ckpt_path} writes text, give a name such as out.txt")
    if length < 1:
        raise UserError(f"--length is {length}: expected at least 1")
    text = model.generate(length, prompt, temperature, top_k, top_p, given.seed)
    if output is None:
        print(text)
    else:
        output.write_text(text, encoding="utf-8")
        print(f"{output}: {len(text):,} characters of {type(model).__name__}, seed {given.seed}")


def chosen(
    given: argparse.Namespace,
    own: dict[str, Any],
    of_others: dict[str, Any],
    others: str,
    model: ImageGenerator | LightningModule,
) -> list[Any]:
    """The values of the model's `own` options; one that only `others` have is a mistake."""
    for name in of_others:
        if getattr(given, name) is not None:
            raise UserError(
                f"--{name} is an option of {others}, but {given.ckpt_path} holds a {type(model).__name__}: leave it out"
            )
    return [default if getattr(given, name) is None else getattr(given, name) for name, default in own.items()]


def writable(path: str, overwrite: bool) -> Path:
    """The file at `path`, checked before anything is made."""
    output = Path(path)
    if output.exists() and not overwrite:
        raise UserError(f"{output} exists: choose another --output, or give --overwrite")
    if not output.parent.is_dir():
        raise UserError(f"the folder of --output {output} does not exist")
    return output
