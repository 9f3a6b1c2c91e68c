"""The idx format of MNIST and FashionMNIST."""

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lab.errors import UserError


def read_idx(path: Path, item_shape: tuple[int, ...]) -> Tensor:
    """The bytes of an uncompressed idx file as (items, *item_shape) uint8.

    The file starts with two zeros, 8 for "bytes" and the number of dimensions, then each dimension in four bytes, the
    most significant first.

    Raises:
        UserError: if the file holds something else, or less or more than it says.
    """
    content = np.fromfile(path, dtype=np.uint8)
    num_dims = 1 + len(item_shape)
    magic, header_bytes = [0, 0, 8, num_dims], 4 + 4 * num_dims
    if len(content) < header_bytes or content[:4].tolist() != magic:
        raise UserError(
            f"{path} is no idx file: it starts with {content[:4].tolist()}, expected {magic} and at least "
            f"{header_bytes} bytes (is it still compressed?); delete it and it is downloaded again"
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
