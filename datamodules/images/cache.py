"""Images of a folder or zip as one tensor: decoded once, in parallel, and stored in a cache file."""

import glob
import hashlib
import json
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from tqdm import tqdm

from datamodules.data_root import expanded
from datamodules.images.files import ImageFile, opened
from datamodules.images.listing import ImageListing
from lab.errors import UserError
from lab.files import atomic_write, displayable

FORMAT = 1  # to be raised whenever the same file would be decoded to other pixels


def load_images(
    listing: ImageListing, image_size: int, channels: int, cache_dir: str | None = None, order: Tensor | None = None
) -> Tensor:
    """All images of `listing`, (files, channels, image_size, image_size) uint8, from the cache if they are in it.

    The name of the cache file is a hash of all names, sizes and versions of the files, of how they are decoded and of
    their order, so that no change goes unnoticed. The tensor is mapped into memory: processes on one machine share it.

    Args:
        listing: The files.
        image_size: Height and width in pixels.
        channels: 3 for colour, 1 for gray.
        cache_dir: Folder of cache files; by default lightning_models in the user's cache, $XDG_CACHE_HOME or ~/.cache.
        order: Of the images, numbers of files; by default the files' own. Splits that follow each other need no copies.

    Raises:
        UserError: if some files cannot be decoded; it names them, and nothing is cached.
    """
    own_order = torch.arange(len(listing.files))
    order = own_order if order is None else order
    contents = [(file.name, file.num_bytes, file.version) for file in listing.files]
    key = hashlib.sha256(json.dumps([FORMAT, image_size, channels, contents]).encode()).hexdigest()
    user_cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    folder = expanded(cache_dir or f"{user_cache}/lightning_models")
    # PyTorch maps no file into memory whose name is not UTF-8, and names end at 255 bytes
    name = f"{displayable(listing.path.stem)[:50]}-{image_size}px-{key[:16]}"
    digest = hashlib.sha256(order.numpy().tobytes()).hexdigest()[:8]
    cache_file = folder / (f"{name}.pt" if torch.equal(order, own_order) else f"{name}-{digest}.pt")
    if (cached := _mapped(cache_file, listing.path)) is not None:
        return cached[0]
    for other in sorted(folder.glob(f"{glob.escape(name)}*.pt")):
        if other != cache_file and (cached := _mapped(other, listing.path)) is not None:
            images, its_order = cached
            return _written(images[order if its_order is None else its_order.argsort()[order]], order, cache_file)
    files = [listing.files[number] for number in order.tolist()]
    return _written(decode_images(listing.path, files, image_size, channels), order, cache_file)


def _mapped(cache_file: Path, source: Path) -> tuple[Tensor, Tensor | None] | None:
    """The images of a cache file and their order, None for the files' own; None if it is not there, or damaged."""
    if not cache_file.exists():
        return None
    try:
        cached: Any = torch.load(cache_file, mmap=True, weights_only=True)
        return (cached["images"], cached["order"].clone()) if isinstance(cached, dict) else (cached, None)
    except (RuntimeError, OSError, EOFError):  # the file was cut short; which error torch.load raises depends on where
        print(f"the cache {cache_file} is damaged: decoding {source} again", file=sys.stderr)
        return None


def decode_images(path: Path, files: Sequence[ImageFile], image_size: int, channels: int) -> Tensor:
    """Decode `files` of the folder or zip `path`, with a progress bar on a terminal if it takes over two seconds.

    Raises:
        UserError: if some files cannot be decoded; it names the first ten of them with the reasons.
    """
    images = np.empty((len(files), channels, image_size, image_size), dtype=np.uint8)

    is_animated = np.zeros(len(images), dtype=bool)

    def problem_of(index: int) -> str | None:
        name = files[index].name
        try:
            with open_file(name) as file, Image.open(file) as image:
                is_animated[index] = image.format != "MPO" and getattr(image, "is_animated", False)
                images[index] = decode_image(image, image_size, channels)
        except Exception as error:  # what the decoders raise for broken files has no common class
            return f"{displayable(name)}: {error}"
        return None

    with opened(path) as open_file:
        pool = ThreadPoolExecutor()
        try:
            # Pillow decodes and scales outside of Python's lock, but opens a file under it: with thumbnails the threads
            # only wait for each other (CIFAR-10's of 900 bytes: 110 us an image without them, 190 us with two).
            mean_bytes = sum(file.num_bytes for file in files) / len(images)
            map_all = map if mean_bytes < 4_000 else pool.map
            results = map_all(problem_of, range(len(images)))
            progress = tqdm(results, f"decoding {path.name}", len(images), unit="image", delay=2, disable=None)
            problems = [problem for problem in progress if problem is not None]
        finally:
            pool.shutdown(cancel_futures=True)
    if problems:
        more = [f"and {len(problems) - 10} more"] if len(problems) > 10 else []
        raise UserError(
            f"{len(problems)} of {len(images)} images in {path} cannot be read; repair or remove them:\n  "
            + "\n  ".join(problems[:10] + more)
        )
    if is_animated.any():
        first = displayable(files[int(is_animated.argmax())].name)
        print(
            f"{path}: of {is_animated.sum():,} files with several pictures, such as {first}, the first picture is used",
            file=sys.stderr,
        )
    return torch.from_numpy(images)


def decode_image(image: Image.Image, image_size: int, channels: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """One image as (channels, image_size, image_size) uint8: upright, its short side scaled, its centre cut out.

    Transparent parts become white.
    """
    mode = "RGB" if channels == 3 else "L"
    image.draft(mode, (2 * image_size, 2 * image_size))  # lets the JPEG decoder skip detail that scaling removes
    image = ImageOps.fit(plain(image, mode), (image_size, image_size), Image.Resampling.BICUBIC)
    pixels = np.asarray(image).reshape(image_size, image_size, channels)
    return pixels.transpose(2, 0, 1)


def plain(image: Image.Image, mode: str) -> Image.Image:
    """An image upright, in front of white where it is transparent, and in `mode`, L or RGB.

    Raises:
        UserError: for more than 8 bits a channel.
    """
    if image.mode.startswith(("I", "F")):
        raise UserError(f"has more than 8 bits a channel (mode {image.mode}): convert it to 8 bits")
    image = ImageOps.exif_transpose(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert(mode)


def _written(images: Tensor, order: Tensor, cache_file: Path) -> Tensor:
    """The images, mapped from the cache file that is written; where that is not possible the run works without one."""
    is_ordered = not torch.equal(order, torch.arange(len(order)))
    try:
        with atomic_write(cache_file) as unfinished:
            torch.save({"images": images, "order": order} if is_ordered else images, unfinished)
    except (OSError, RuntimeError) as error:  # PyTorch raises RuntimeError on a full disk
        print(f"the decoded images could not be cached in {cache_file}: {error}", file=sys.stderr)
        return images
    mapped = _mapped(cache_file, cache_file)
    return images if mapped is None else mapped[0]
