"""Characters of a text as indices into a vocabulary, a piece at a time: a large text is never copied as a whole."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.described_data import hash_of_pieces

PIECE = 1 << 22  # characters
ALL_CODE_POINTS = 0x110000


def code_points(text: str, start: int, end: int) -> Iterator[NDArray[np.uint32]]:
    """Those of `text[start:end]`, piece by piece."""
    for begin in range(start, end, PIECE):
        yield np.frombuffer(text[begin : min(begin + PIECE, end)].encode("utf-32-le"), dtype=np.uint32)


def characters_of(text: str) -> set[str]:
    """Every character that occurs."""
    occurs = np.zeros(ALL_CODE_POINTS, dtype=bool)
    for points in code_points(text, 0, len(text)):
        occurs[points] = True
    return set(map(chr, np.flatnonzero(occurs)))


def index_type(size: int) -> torch.dtype:
    """The smallest type with room for the indices of a vocabulary of that size."""
    return torch.uint8 if size <= 256 else torch.int16 if size <= 32768 else torch.int32


def index_table(vocabulary: Sequence[str]) -> NDArray[Any]:
    """The index of each character, by code point."""
    table = torch.zeros(max(map(ord, vocabulary)) + 1, dtype=index_type(len(vocabulary))).numpy()
    table[[ord(character) for character in vocabulary]] = np.arange(len(vocabulary))
    return table


def encode_into(indices: Tensor, text: str, start: int, end: int, table: NDArray[Any]) -> None:
    """Write the indices of `text[start:end]` to the beginning of `indices`, (characters,) of the table's type."""
    out = indices.numpy()
    done = 0
    for points in code_points(text, start, end):
        table.take(points, out=out[done : done + len(points)], mode="clip")  # the others would make a buffer
        done += len(points)


def encoded(text: str, vocabulary: Sequence[str]) -> Tensor:
    """Indices of the characters of `text` in `vocabulary`, (characters,), in the smallest type with room for them."""
    indices = torch.empty(len(text), dtype=index_type(len(vocabulary)))
    encode_into(indices, text, 0, len(text), index_table(vocabulary))
    return indices


def text_hash(texts: Sequence[str]) -> str:
    """`content_hash` of the texts in UTF-8."""
    sizes = (len(text) if text.isascii() else sum(map(len, utf8(text))) for text in texts)
    return hash_of_pieces(zip(sizes, map(utf8, texts), strict=True))


def utf8(text: str) -> Iterator[bytes]:
    """A text's bytes, piece by piece."""
    return (text[begin : begin + PIECE].encode("utf-8", "surrogatepass") for begin in range(0, len(text), PIECE))
