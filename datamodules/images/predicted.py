"""Images of the user's own, without labels, to predict the class of."""

import sys
from dataclasses import dataclass

import torch
from torch import Tensor

from datamodules.data_root import expanded
from datamodules.images.cache import decode_images
from datamodules.images.files import ImageFile, find_files
from datamodules.images.formats import ending_of, image_endings
from lab.errors import UserError, UserFileError
from lab.files import displayable


@dataclass(frozen=True)
class NamedImages:
    """Images and what to call them in predictions.csv."""

    images: Tensor  # (images, channels, image_size, image_size) uint8
    names: list[str]


def read_images_to_predict(paths: str | list[str], image_size: int, channels: int) -> NamedImages:
    """All images of folders, .zip files and single files, in this order and by name; nothing is cached.

    They are named as in their folder or zip; where two would have the same name, behind the path that was given.

    Raises:
        UserFileError: for a path that does not exist.
        UserError: for a folder or zip without images, or images that cannot be decoded.
    """
    given = [paths] if isinstance(paths, str) else paths
    if not given:
        raise UserError("--data.predict_path is an empty list: name a folder, a .zip or image files")
    parts = [_read(path, image_size, channels) for path in given]
    names = [name for part in parts for name in part.names]
    if len(set(names)) < len(names):
        names = [
            path if expanded(path).name == name else f"{path.rstrip('/')}/{name}"
            for path, part in zip(given, parts, strict=True)
            for name in part.names
        ]
    return NamedImages(torch.cat([part.images for part in parts]), [displayable(name) for name in names])


def _read(given: str, image_size: int, channels: int) -> NamedImages:
    path = expanded(given)
    shown = displayable(str(path))
    if not path.exists():
        raise UserFileError(f"--data.predict_path {shown}: there is no such folder, .zip or image")
    if path.is_file() and (ending_of(path.name) in image_endings() or path.suffix.lower() != ".zip"):
        status = path.stat()
        files, folder = [ImageFile(path.name, status.st_size, status.st_mtime_ns)], path.parent
    else:
        found = find_files(path)
        files, folder = found.files, path
        left_out = f"; left out: {found.left_out_text()}" if found.left_out else ""
        if not files:
            raise UserError(f"--data.predict_path {shown} holds no images{left_out}")
        print(f"{shown}: {len(files):,} images to predict{left_out}", file=sys.stderr)
    return NamedImages(decode_images(folder, files, image_size, channels), [file.name for file in files])
