"""Data of the shape and size of the real sets, drawn at random, so that a benchmark needs no download."""

import random
import string
import struct
from pathlib import Path

import numpy as np

NUM_IMAGES = {"train": 60_000, "t10k": 10_000}  # as in MNIST
NUM_CHARACTERS = 1_115_394  # as in Tiny Shakespeare


def write_data(root: Path) -> None:
    """MNIST's idx files and a text."""
    generator = np.random.default_rng(0)
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part, count in NUM_IMAGES.items():
        images = generator.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        images[generator.random(images.shape) < 0.8] = 0  # as many black pixels
        write_idx(raw / f"{part}-images-idx3-ubyte", images)
        write_idx(raw / f"{part}-labels-idx1-ubyte", generator.integers(0, 10, count, dtype=np.uint8))
    letters = random.Random(0)
    text = root / "tinyshakespeare"
    text.mkdir()
    alphabet = string.ascii_letters + " \n.,:;!?'-&3$"
    (text / "input.txt").write_text("".join(letters.choices(alphabet, k=NUM_CHARACTERS)))


def write_idx(path: Path, array: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]") -> None:
    """MNIST's format: a header with the sizes, then the bytes."""
    path.write_bytes(struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes())


def read_idx(path: Path) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    """What `write_idx` wrote."""
    content = path.read_bytes()
    dimensions = content[3]
    shape = struct.unpack(f">{dimensions}I", content[4 : 4 + 4 * dimensions])
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape).copy()
