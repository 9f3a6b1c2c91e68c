"""Characters as numbers, and what is done to text before that."""

import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

UNKNOWN = "<unknown>"  # the first entry: any character that is not in the vocabulary, and nothing at all

# ruff: noqa: RUF001  (letters that look alike are the point of this table)
# Latin letters and signs that Unicode does not decompose into an ASCII letter and accents
ASCII_EQUIVALENTS = str.maketrans({
    "ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L",
    "đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "ħ": "h", "Ħ": "H", "ı": "i", "ŋ": "n", "Ŋ": "N",
    "ə": "a", "Ə": "A", "ʻ": "'", "ʼ": "'", "‘": "'", "’": "'", "‚": ",", "“": '"', "”": '"', "„": '"', "«": '"',
    "»": '"', "–": "-", "—": "-", "−": "-", "‐": "-", "‑": "-",
})  # fmt: skip


def fold_to_ascii(text: str) -> str:
    """Letters without their accents, `Müller` -> `Muller`; what has no ASCII equivalent becomes `?`."""
    return text if text.isascii() else text.translate({ord(c): _folded(c) for c in set(text) if not c.isascii()})


def _folded(character: str) -> str:
    decomposed = unicodedata.normalize("NFKD", character.translate(ASCII_EQUIVALENTS))
    bare = "".join(c for c in decomposed if not unicodedata.combining(c))
    return bare.encode("ascii", "replace").decode("ascii")


def normalized(line: str, ascii_only: bool) -> str:
    """A line as models see it: composed (NFC) or folded to ASCII, without blanks at its ends."""
    return (fold_to_ascii(line) if ascii_only else unicodedata.normalize("NFC", line)).strip()


def build_vocabulary(lines: Iterable[str]) -> list[str]:
    """UNKNOWN and all characters of `lines` in the order of their code points; a character's place is its number."""
    return [UNKNOWN, *sorted(set().union(*lines))]


class Encoder:
    """Lines as numbers: places in `vocabulary`, 0 for a character that it does not have."""

    def __init__(self, vocabulary: Sequence[str]) -> None:
        code_points = [ord(character) for character in vocabulary[1:]]
        self._numbers = np.zeros(max([*code_points, 0]) + 2, dtype=np.int64)  # by code point; the last one is unknown
        self._numbers[code_points] = np.arange(1, len(vocabulary))

    def encode(self, lines: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
        """All characters behind each other (characters,), and where each line begins and how long it is (lines,).

        An empty line is one unknown character, so that every line has an answer. All are int64.
        """
        filled = [line or "\0" for line in lines]  # U+0000, which no vocabulary of text has
        code_points = np.frombuffer("".join(filled).encode("utf-32-le"), dtype=np.uint32)
        characters = self._numbers[np.minimum(code_points, len(self._numbers) - 1)]
        lengths = torch.tensor([len(line) for line in filled], dtype=torch.int64)
        return torch.from_numpy(characters), lengths.cumsum(0) - lengths, lengths
