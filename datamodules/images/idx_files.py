"""The idx format of MNIST and FashionMNIST."""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lab.errors import UserError


def find_idx_file(name: str, folders: list[Path]) -> Path | None:
    """The file `name`, as it is or with .gz, in the first of `folders` that has it; also as train-images.idx3-ubyte."""
    names = (name, f"{name}.gz", name.replace("-idx", ".idx"), f"{name.replace('-idx', '.idx')}.gz")
    return next((folder / one for folder in folders for one in names if (folder / one).is_file()), None)


def read_idx(path: Path, item_shape: tuple[int, ...]) -> Tensor:
    """The bytes of an idx file, compressed if its name ends in .gz, as (items, *item_shape) uint8.

    The file starts with two zeros, 8 for "bytes" and the number of dimensions, then each dimension in four bytes, the
    most significant first.

    Raises:
        UserError: if the file holds something else, or less or more than it says.
    """
    content = _content(path)
    num_dims = 1 + len(item_shape)
    magic, header_bytes = [0, 0, 8, num_dims], 4 + 4 * num_dims
    if len(content) < header_bytes or content[:4].tolist() != magic:
        raise UserError(
            f"{path} is not an idx file: it starts with {content[:4].tolist()}, expected {magic} and at least "
            f"{header_bytes} bytes (a compressed file's name must end in .gz); delete it and it is downloaded again"
        )
    shape = tuple(content[4:header_bytes].view(">u4").tolist())
    if shape[1:] != item_shape:
        raise UserError(f"{path} holds items of shape {shape[1:]}, expected {item_shape}")
    expected_bytes = header_bytes + math.prod(shape)
    if len(content) != expected_bytes:
        raise UserError(
            f"{path} has {len(content):,} bytes, expected {expected_bytes:,}: delete it and it is downloaded again"
        )
    return torch.from_numpy(content[header_bytes:].reshape(shape))


def _content(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    if path.suffix != ".gz":
        return np.fromfile(path, dtype=np.uint8)
    try:
        return np.frombuffer(bytearray(gzip.decompress(path.read_bytes())), dtype=np.uint8)  # which may be written to
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(
            f"{path} is damaged or not compressed ({error}): delete it and it is downloaded again"
        ) from error
