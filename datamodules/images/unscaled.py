"""Images as they are, of any one size: from folders, .zip files and arrays of other programs."""

import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from datamodules.images.cache import plain
from datamodules.images.files import find_files, opened
from lab.errors import UserError, UserFileError
from lab.files import displayable


def read_images(path: Path) -> Tensor:
    """Images (images, channels, height, width) uint8 of a folder, a .zip or a .npz; one channel if all are gray.

    A .npz holds them as its first array, (images, height, width, channels) uint8, as ADM's reference batches do.

    Raises:
        UserFileError: if there is no such place.
        UserError: if it holds no images, images of different sizes, or some that cannot be read.
    """
    if not path.exists():
        raise UserFileError(f"there is no checkpoint, folder, .zip or .npz {displayable(str(path))}")
    if path.suffix.lower() == ".npz":
        return read_array(path)
    found = find_files(path)
    if not found.files:
        left_out = f"; left out: {found.left_out_text()}" if found.left_out else ""
        raise UserError(f"{displayable(str(path))} holds no images{left_out}")
    images, problems = [], []
    with opened(path) as open_file:
        for file in tqdm(found.files, f"reading {path.name}", unit="image", delay=2, disable=None):
            try:
                with open_file(file.name) as stream, Image.open(stream) as image:
                    is_gray = image.mode in ("1", "L", "LA")
                    images.append(np.asarray(plain(image, "L" if is_gray else "RGB")))
            except Exception as error:  # what the decoders raise for broken files has no common class
                problems.append(f"{displayable(file.name)}: {error}")
    if problems:
        more = [f"and {len(problems) - 10} more"] if len(problems) > 10 else []
        raise UserError(
            f"{len(problems)} of {len(found.files)} images in {displayable(str(path))} cannot be read; repair or "
            "remove them:\n  " + "\n  ".join(problems[:10] + more)
        )
    sizes = Counter(image.shape[:2] for image in images)
    if len(sizes) > 1:
        (first, many), (second, few) = sizes.most_common(2)
        raise UserError(
            f"{displayable(str(path))} holds images of different sizes, such as {many:,} of {first[1]} x {first[0]} "
            f"and {few:,} of {second[1]} x {second[0]} pixels: scale them to one size"
        )
    if any(image.ndim == 3 for image in images):
        images = [image if image.ndim == 3 else np.repeat(image[:, :, None], 3, axis=2) for image in images]
    pixels = torch.from_numpy(np.stack(images))
    return pixels.unsqueeze(1) if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2).contiguous()


def read_array(path: Path) -> Tensor:
    """The first array of a .npz."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            name = next(iter(arrays), None)
            images = None if name is None else arrays[name]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{displayable(str(path))} cannot be read as a .npz: {error}") from error
    if images is None or images.ndim != 4 or images.dtype != np.uint8 or images.shape[3] not in (1, 3):
        shape = "none" if images is None else f"{images.dtype} {tuple(images.shape)}"
        raise UserError(
            f"{displayable(str(path))} has as its first array {shape}: expected uint8 (images, height, width, 1 or 3)"
        )
    if not len(images):
        raise UserError(f"{displayable(str(path))} holds no images")
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
