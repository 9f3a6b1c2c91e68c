"""Any number of images of a checkpoint, as single PNG files or as one array in a .npz; a second start goes on."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from lab.commands.output import output_file, writing
from lab.errors import UserError
from lab.files import atomic_write
from lightning_models.feature_extractors.classifier import sha256
from lightning_models.modules.image_generator import ImageGenerator

BLOCK = 256  # images that are drawn and decoded together
NOTES = ".samples.json"  # what the images of a folder were made from; hidden files are no images


@dataclass(frozen=True)
class Samples:
    """Images 0, 1, ... of a checkpoint: each is a function of its number, the seed and the classes asked for.

    Args:
        model: of the checkpoint.
        ckpt_path: of the checkpoint.
        seed: of the latent vectors.
        classes: numbers of the classes asked for, which take turns; None: as often as in the training data.
    """

    model: ImageGenerator
    ckpt_path: str
    seed: int
    classes: list[int] | None

    def notes(self) -> dict[str, Any]:
        """What the images depend on."""
        checkpoint = sha256(Path(self.ckpt_path).expanduser())
        return {"checkpoint": checkpoint, "seed": self.seed, "classes": self.classes, "block": BLOCK}

    def images(self, count: int, is_missing: Callable[[int], bool]) -> Iterator[tuple[range, Tensor, Tensor | None]]:
        """Numbers, images (batch, height, width, channels) uint8 and labels (batch,), in blocks with missing images."""
        for first in range(0, count, BLOCK):
            numbers = range(first, min(first + BLOCK, count))
            if not any(map(is_missing, numbers)):
                continue
            digest = hashlib.sha256(f"{self.seed} {first // BLOCK}".encode()).digest()
            generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
            every = range(first, first + BLOCK)  # of the last block, too: more images may be asked for later
            asked = None if self.classes is None else torch.tensor([self.classes[n % len(self.classes)] for n in every])
            latent = self.model.draw_latent(BLOCK, generator, asked)[: len(numbers)]
            found = (self.model.decode(latent).clamp(0, 1) * 255).round().to(torch.uint8)
            yield numbers, found.permute(0, 2, 3, 1), latent.labels


def write_folder(samples: Samples, count: int, folder: Path) -> int:
    """Write the images that are not there yet: 000000.png, ..., of a conditional model in a folder for each class.

    Returns how many there were before.

    Raises:
        UserError: if the folder holds other files, or images of another checkpoint, seed or choice of classes.
    """
    check_folder(folder, samples.notes())
    names = samples.model.class_names
    places = {path.name: path for path in folder.rglob("*.png")}
    before = sum(f"{number:06d}.png" in places for number in range(count))
    with tqdm(total=count, initial=before, desc=str(folder), unit="image", delay=2, disable=None) as progress:
        for numbers, images, labels in samples.images(count, lambda number: f"{number:06d}.png" not in places):
            for place, number in enumerate(numbers):
                if (name := f"{number:06d}.png") in places:
                    continue
                part = "" if names is None or labels is None else folder_name(names[int(labels[place])])
                with atomic_write(folder / part / name, through_power_cuts=False) as unfinished:
                    picture(images[place]).save(unfinished, format="PNG", compress_level=1)
                progress.update()
    return before


def check_folder(folder: Path, notes: dict[str, Any]) -> None:
    """Make the folder with its notes, or see that those of an earlier start are the same."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--output {folder} is a file: give a folder, or the name of a picture or .npz")
    if (folder / NOTES).is_file():
        if json.loads((folder / NOTES).read_text()) != notes:
            raise UserError(
                f"{folder} holds images of another checkpoint, seed or choice of classes: choose another --output"
            )
        return
    if folder.is_dir() and any(folder.iterdir()):
        raise UserError(f"{folder} holds other files: choose another --output, a new or empty folder")
    with writing(folder / NOTES) as unfinished:
        unfinished.write_text(json.dumps(notes))


def folder_name(class_name: str) -> str:
    """A class's name as that of a folder."""
    kept = class_name.replace("/", "_").replace("\\", "_")
    return kept if kept.strip(".") else f"class {kept}"


def picture(image: Tensor) -> Image.Image:
    """An image (height, width, channels) uint8 of one or three channels."""
    pixels = image.numpy()
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def write_array(samples: Samples, count: int, path: str, overwrite: bool) -> Path:
    """Write arr_0 (images, height, width, channels) uint8 and, of a conditional model, arr_1, the labels.

    Until it is whole, the images are in a hidden file beside it, from which a second start goes on.
    """
    output = output_file(path, overwrite)
    channels, height, width = samples.model.image_shape
    unfinished, notes = output.with_name(f".{output.name}.npy"), output.with_name(f".{output.name}.json")
    made_from = {**samples.notes(), "count": count}
    known = json.loads(notes.read_text()) if notes.is_file() and unfinished.is_file() else {}
    done = known["done"] if known.get("made_from") == made_from else 0
    mode: Any = "r+" if done else "w+"
    images = np.lib.format.open_memmap(unfinished, mode, np.uint8, (count, height, width, channels))
    labels: list[int] = known["labels"] if done else []
    with tqdm(total=count, initial=done, desc=str(output), unit="image", delay=2, disable=None) as progress:
        for numbers, found, asked in samples.images(count, lambda number: number >= done):
            images[numbers.start : numbers.stop] = found.numpy()
            labels += [] if asked is None else asked.tolist()
            images.flush()
            with writing(notes) as file:
                file.write_text(json.dumps({"made_from": made_from, "done": numbers.stop, "labels": labels}))
            progress.update(len(numbers))
    arrays = [images, np.array(labels)] if labels else [images]
    with writing(output) as file, file.open("wb") as stream:
        np.savez(stream, *arrays)  # arr_0 and arr_1
    for path_to_remove in (unfinished, notes):
        path_to_remove.unlink()
    return output
