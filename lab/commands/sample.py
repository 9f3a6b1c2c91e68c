"""sample: a grid of images or a text from a checkpoint alone."""

import argparse
import os
from pathlib import Path
from typing import Any, cast

import torch
from pytorch_lightning import LightningModule

from lab.commands.classes import CLASS_HELP, asked_classes, rows_of
from lab.commands.output import PICTURE_ENDINGS, output_file, picture_file, save_picture, writing
from lab.commands.parser import Parser
from lab.commands.single_images import Samples, write_array, write_folder
from lab.errors import UserError
from lab.training.checkpoints import load_model
from lightning_models.drawing.pictures import to_picture
from lightning_models.language_model import CharLanguageModel
from lightning_models.modules.image_generator import ImageGenerator

IMAGE_OPTIONS: dict[str, Any] = {"count": 64, "columns": None, "classes": None}  # with their defaults
TEXT_OPTIONS: dict[str, Any] = {"length": 1000, "prompt": "", "temperature": 0.8, "top_k": None, "top_p": None}


def run(options: list[str]) -> None:
    """Write the grid or the text and print where it is."""
    given = parse(options)
    model = load_model(given.ckpt_path)
    if isinstance(model, CharLanguageModel):
        sample_text(model, given)
    elif isinstance(model, ImageGenerator):
        sample_images(model, given)
    else:
        raise UserError(f"{given.ckpt_path} holds a {type(model).__name__}, which generates no images")


def parse(options: list[str]) -> argparse.Namespace:
    """The options; those that only one kind of model has are None unless they were given."""
    parser = Parser("sample", "Generate from a checkpoint: a grid of images, or text.")
    parser.add_argument("--ckpt_path", required=True, help="a checkpoint, such as RUN/checkpoints/last.ckpt")
    parser.add_argument("--seed", type=int, default=0, help="of the random draws; the same seed, the same result")
    parser.add_argument(
        "--output",
        help="the file; by default grid.png for images, and text is printed. A folder (DIR/) gets single images, a "
        ".npz one array of all; either goes on where it was stopped",
    )
    images = parser.add_argument_group("models of images (GAN, VAE)")
    images.add_argument("--count", type=int, help="number of images, by default 64")
    images.add_argument("--columns", type=int, help="images in a row; by default a square grid")
    images.add_argument("--class", dest="classes", help=f"{CLASS_HELP}; a row for each of several")
    text = parser.add_argument_group("language models")
    text.add_argument("--length", type=int, help="characters after the prompt, by default 1000")
    text.add_argument("--prompt", help="how the text begins; by default as after an empty line")
    text.add_argument("--temperature", type=float, help="above 0, by default 0.8; lower favours likely characters")
    text.add_argument("--top_k", type=int, help="draw from the k likeliest characters only, by default from all")
    text.add_argument(
        "--top_p", type=float, help="draw from the likeliest characters whose probabilities reach p, to 1"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the file if it exists")
    return parser.parse_args(options)


def sample_images(model: ImageGenerator, given: argparse.Namespace) -> None:
    """A grid of images."""
    count, columns, asked = chosen(given, IMAGE_OPTIONS, TEXT_OPTIONS, "a language model", model)
    for option, value in (("count", count), ("columns", columns)):
        if value is not None and value < 1:
            raise UserError(f"--{option} is {value}: expected at least 1")
    if given.output is not None and is_for_single_images(given.output):
        sample_single_images(model, given, count, asked)
        return
    output = picture_file(given.output or "grid.png", given.overwrite)
    row_names: list[str] = []
    labels = None
    if asked is not None:
        classes = asked_classes(asked, model)
        labels = rows_of(classes, count)
        count = len(labels)
        if len(classes) > 1 and columns in (None, count // len(classes)):
            columns, row_names = count // len(classes), [str((model.class_names or [])[number]) for number in classes]
    images = model.sample(count, given.seed, labels)
    save_picture(to_picture(images, columns or round(count**0.5), row_names), output)
    print(f"{output}: {len(images)} images of {type(model).__name__}, seed {given.seed}")


def is_for_single_images(output: str) -> bool:
    """Whether `--output` is a folder or a .npz."""
    path = Path(output).expanduser()
    return output.endswith(("/", os.sep)) or path.is_dir() or path.suffix.lower() == ".npz"


def sample_single_images(model: ImageGenerator, given: argparse.Namespace, count: int, asked: str | None) -> None:
    """Single PNG files, or an array."""
    if given.columns is not None:
        raise UserError("--columns is for a grid: leave it out, or give the name of a picture as --output")
    samples = Samples(model, given.ckpt_path, given.seed, None if asked is None else asked_classes(asked, model))
    if torch.cuda.is_available():
        cast(LightningModule, model).cuda()
    if given.output.lower().endswith(".npz"):
        output, before = write_array(samples, count, given.output, given.overwrite), 0
    else:
        if given.overwrite:
            raise UserError("--overwrite is for one file: choose another folder as --output")
        output = Path(given.output).expanduser()
        before = write_folder(samples, count, output)
    there = f", {before:,} of them there before" if before else ""
    print(f"{output}: {count:,} images of {type(model).__name__}, seed {given.seed}{there}")


def sample_text(model: CharLanguageModel, given: argparse.Namespace) -> None:
    """A text, into a file or printed."""
    length, prompt, temperature, top_k, top_p = chosen(given, TEXT_OPTIONS, IMAGE_OPTIONS, "a model of images", model)
    output = None if given.output is None else output_file(given.output, given.overwrite)
    if output is not None and output.suffix.lower() in PICTURE_ENDINGS:
        raise UserError(f"--output {output}: {given.ckpt_path} writes text, give a name such as out.txt")
    if length < 1:
        raise UserError(f"--length is {length}: expected at least 1")
    text = model.generate(length, prompt, temperature, top_k, top_p, given.seed)
    if output is None:
        print(text)
    else:
        with writing(output) as unfinished:
            unfinished.write_text(text, encoding="utf-8")
        print(f"{output}: {len(text):,} characters of {type(model).__name__}, seed {given.seed}")


def chosen(
    given: argparse.Namespace,
    own: dict[str, Any],
    of_others: dict[str, Any],
    others: str,
    model: ImageGenerator | LightningModule,
) -> list[Any]:
    """The values of the model's `own` options.

    Raises:
        UserError: if an option was given that only `others` have.
    """
    for name in of_others:
        if getattr(given, name) is not None:
            option = "class" if name == "classes" else name
            raise UserError(
                f"--{option} is an option of {others}, but {given.ckpt_path} holds a {type(model).__name__}: "
                "leave it out"
            )
    return [default if getattr(given, name) is None else getattr(given, name) for name, default in own.items()]
