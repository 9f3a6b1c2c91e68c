"""Text files to learn a language from: finding and reading them."""

import difflib
import glob
import os
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from datamodules.data_root import data_root, expanded
from datamodules.downloads import fetch_file
from datamodules.text.gutenberg import without_gutenberg
from datamodules.text_files import find_txt_files, left_out_text, read_text
from datamodules.vocabulary import fold_to_ascii
from lab.errors import UserError, UserFileError
from lab.files import displayable, is_hidden

Normalisation = Literal["none", "nfc", "ascii"]
SOURCES = {  # of texts that can be fetched, by the path that they are asked for with
    "tinyshakespeare/input.txt": "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
}


def find_text_files(paths: list[str], root: str | None, download: bool = False) -> list[Path]:
    """The files that `paths` name: files, folders (every .txt or .TXT below them), patterns such as `novels/*.txt`.

    Each is looked for from the current folder and then from the data root; what several of them name is taken once.
    With `download` one of the SOURCES that is in neither is fetched into the data root.

    Raises:
        UserFileError: for a path that names nothing; it says what was looked at, and why it could not be fetched.
    """
    found: list[Path] = []
    for path in paths:
        found += _files_at(path, [expanded(path), data_root(root) / path], SOURCES.get(path), download)
    once: dict[tuple[int, int], Path] = {}  # whatever links and patterns lead to it
    for file in found:
        status = file.stat()
        once.setdefault((status.st_dev, status.st_ino), file)
    return list(once.values())


def _files_at(path: str, candidates: list[Path], source: str | None, download: bool) -> list[Path]:
    for candidate in candidates:
        if candidate.is_dir():
            files, left_out = find_txt_files(candidate, recursive=True)
            if not files:
                raise UserFileError(
                    f"there is no .txt file in the folder {candidate.absolute()}{left_out_text(left_out)}"
                )
        elif candidate.exists():
            files = [candidate]
        else:
            files = sorted(_matching(candidate))
        if files:
            return [Path(os.path.abspath(file)) for file in files]
    looked_at = " and ".join(dict.fromkeys(str(candidate.absolute()) for candidate in candidates))
    siblings = [name for candidate in candidates if candidate.parent.is_dir() for name in os.listdir(candidate.parent)]
    nearest = difflib.get_close_matches(Path(path).name, siblings, n=1)
    hint = f"did you mean '{nearest[0]}'?" if nearest else "put it there, or name others with --data.path"
    if source is None:
        raise UserFileError(f"there is no text at {looked_at}: {hint}")
    reason = "--data.download is false"
    if download:
        try:
            fetch_file(source, candidates[-1])
        except OSError as error:
            reason = str(error)
        else:
            return [candidates[-1].absolute()]
    raise UserFileError(f"there is no text at {looked_at}, and it was not fetched from {source} ({reason}): {hint}")


def _matching(pattern: Path) -> Iterator[Path]:
    """The files that a pattern matches, without hidden ones; `**` follows no links to folders, which may be circles."""
    parts = [re.sub(r"\*{2,}", "*", part) if part != "**" else part for part in pattern.absolute().parts]
    start = next((number for number, part in enumerate(parts) if glob.has_magic(part)), len(parts) - 1)
    if parts[-1] == "**":
        parts.append("*")  # files, too
    folder = Path(*parts[:start])
    for path in folder.glob("/".join(parts[start:])):
        if path.is_file() and not any(map(is_hidden, path.relative_to(folder).parts)):
            yield path


def read_book(path: Path, normalisation: Normalisation = "nfc") -> str:
    r"""The text of a file, its lines ended by \n, without what Project Gutenberg puts around a book.

    Raises:
        UserError: if the file is empty, in an unknown encoding, or holds nothing but Project Gutenberg's own text.
        OSError: if it cannot be read.
    """
    name = displayable(str(path))
    text = read_text(path)
    if not text:
        raise UserError(f"{name} is empty: there is nothing to learn from; leave it out of --data.path")
    text = normalised(without_gutenberg(text), normalisation)
    if text.isspace() or not text:
        raise UserError(f"{name} holds no text but white space and licences: leave it out of --data.path")
    return text


def normalised(text: str, normalisation: Normalisation) -> str:
    """`text` as it is ("none"), with composed characters ("nfc"), or in ASCII alone ("ascii", see fold_to_ascii)."""
    if normalisation == "none":
        return text
    return fold_to_ascii(text) if normalisation == "ascii" else unicodedata.normalize("NFC", text)
