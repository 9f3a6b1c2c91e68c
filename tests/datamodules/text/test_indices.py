"""A text is indexed piece by piece: the same indices, characters and hash as from all of it at once."""

import numpy as np
import pytest
import torch

from datamodules.described_data import content_hash
from datamodules.text import gutenberg, indices
from datamodules.text.indices import characters_of, encode_into, encoded, index_table, text_hash

TEXT = "añb\nc𝄞" * 7


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch):
    monkeypatch.setattr(indices, "PIECE", 4)
    monkeypatch.setattr(gutenberg, "PIECE", 4)


def test_pieces_make_the_whole():
    vocabulary = sorted(set(TEXT))
    assert characters_of(TEXT) == set(TEXT)
    found = encoded(TEXT, vocabulary)
    assert found.dtype == torch.uint8
    assert "".join(vocabulary[index] for index in found.tolist()) == TEXT
    part = torch.zeros(9, dtype=torch.uint8)
    encode_into(part, TEXT, 3, 10, index_table(vocabulary))
    assert torch.equal(part[:7], found[3:10])
    assert part[7:].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("size", "dtype"), [(256, torch.uint8), (257, torch.int16), (32768, torch.int16), (32769, torch.int32)]
)
def test_the_last_index_fits_into_the_type(size, dtype):
    vocabulary = [chr(code) for code in range(0xE000, 0xE000 + 8192)] + [chr(code) for code in range(0x10000, 0x18000)]
    found = encoded(vocabulary[size - 1], vocabulary[:size])
    assert (found.dtype, found.tolist()) == (dtype, [size - 1])
    assert index_table(vocabulary[:size]).dtype == np.dtype(str(dtype).removeprefix("torch."))


def test_the_hash_is_that_of_the_bytes_whatever_the_pieces():
    texts = ["plain", TEXT, "", "x" * 9]
    assert text_hash(texts) == content_hash(text.encode() for text in texts)


@pytest.mark.parametrize("start", range(6))
def test_a_marker_is_found_wherever_pieces_end(start):
    begin, end = "*** START OF THE PROJECT GUTENBERG EBOOK A ***", "*** END OF THE PROJECT GUTENBERG"
    assert gutenberg.without_gutenberg(f"{'x' * start}\n{begin}\n\nThe book.\n\n{end}") == "The book.\n"
