"""Text files as users have them: found in folders, in UTF-8, UTF-16 or UTF-32, with any line ends."""

import codecs
import os
import sys
from collections import Counter
from pathlib import Path

from datamodules.data_root import expanded
from lab.errors import UserError, UserFileError
from lab.files import displayable, is_hidden

STANDARD_INPUT = "-"
BYTE_ORDER_MARKS = {  # the longer ones first: that of UTF-32 begins like that of UTF-16
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def read_text(path: str | Path) -> str:
    r"""The content of a file, or of standard input for "-"; line ends are \n and a byte-order mark is left out.

    Files are UTF-8 unless they begin with the byte-order mark of UTF-16 or UTF-32.

    Raises:
        UserFileError: if it cannot be read.
        UserError: if it is in another encoding or holds NUL characters; the message names the first wrong byte.
    """
    is_input = str(path) == STANDARD_INPUT
    name = "standard input" if is_input else displayable(str(path))
    if not is_input and waits(expanded(path)):
        raise UserFileError(f"{name} is neither a file nor a folder: give a file, or - for standard input")
    try:
        content = sys.stdin.buffer.read() if is_input else expanded(path).read_bytes()
    except OSError as error:
        raise UserFileError(f"{name} cannot be read: {error.strerror}") from error
    text = decoded(content, name)
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def waits(path: Path) -> bool:
    """Whether reading `path` could wait for another program for ever; what a shell makes below /dev does not."""
    return path.exists() and not (path.is_file() or path.is_dir()) and path.parts[:2] != ("/", "dev")


def decoded(content: bytes, name: str) -> str:
    """`content` as text, without its byte-order mark; `name` is for the message.

    Raises:
        UserError: see read_text.
    """
    encoding = next((coding for mark, coding in BYTE_ORDER_MARKS.items() if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        called = "UTF-8" if encoding.startswith("utf-8") else f"{encoding.upper()}, as its byte-order mark says"
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{name} is not {called}: byte 0x{content[error.start]:02x} at position {error.start:,}, in line {line:,}. "
            "Find out its encoding and convert it, for instance with `iconv -f latin1 -t utf-8`"
        ) from error
    if "\0" in text:
        place = text.index("\0")
        raise UserError(
            f"{name} is not plain text: character {place:,}, in line {text.count(chr(10), 0, place) + 1:,}, is NUL "
            "(byte 0x00). If it is UTF-16 without a byte-order mark, convert it with `iconv -f utf-16le -t utf-8`"
        )
    return text


def read_lines(path: str | Path) -> list[str]:
    r"""The lines without their ends; what ends in \n has no empty line behind it. See read_text."""
    lines = read_text(path).split("\n")  # str.splitlines would also split at form feeds and other control characters
    return lines[:-1] if lines[-1] == "" else lines


def find_txt_files(folder: Path, recursive: bool) -> tuple[list[Path], Counter[str]]:
    """The .txt files in `folder`, in any case and in the order of their names, and what is left out by its reason.

    Hidden files and folders, and those of the operating system, are left out; links to folders are not followed.

    Raises:
        UserFileError: if a folder cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise UserFileError(f"the folder {displayable(str(error.filename))} cannot be read: {error.strerror}")

    files: list[Path] = []
    left_out: Counter[str] = Counter()
    for directory, subfolders, names in os.walk(folder, onerror=refuse):
        left_out["hidden or of the system"] += sum(map(is_hidden, [*subfolders, *names]))
        subfolders[:] = [name for name in subfolders if recursive and not is_hidden(name)]
        for name in names:
            path = Path(directory) / name
            if is_hidden(name):
                continue
            if path.suffix.lower() == ".txt" and path.is_file():
                files.append(path)
            else:
                left_out[displayable(path.suffix.lower()) or "without an ending"] += 1
    return sorted(files), +left_out


def left_out_text(left_out: Counter[str]) -> str:
    """What is left out and why, for the end of a line; empty if nothing is."""
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in left_out.most_common())
    return f"; left out: {reasons}" if reasons else ""
