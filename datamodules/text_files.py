"""Text files as users have them: UTF-8 with or without byte-order mark, any line ends."""

import sys
from pathlib import Path

from lab.errors import UserError, UserFileError

STANDARD_INPUT = "-"


def read_text(path: str | Path) -> str:
    r"""The content of a UTF-8 file, or of standard input for "-"; line ends are \n and a byte-order mark is left out.

    Raises:
        OSError: if it cannot be read.
        UserError: if it is not UTF-8; the message names the first wrong byte and its place.
    """
    is_input = str(path) == STANDARD_INPUT
    try:
        content = sys.stdin.buffer.read() if is_input else Path(path).read_bytes()
    except OSError as error:  # raised again here, where it counts as a mistake of the user's
        raise UserFileError(f"{path} cannot be read: {error.strerror}") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        name = "standard input" if is_input else str(path)
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{name} is not UTF-8: byte 0x{content[error.start]:02x} at position {error.start:,}, in line {line:,}. "
            "Convert it, for instance with `iconv -f latin1 -t utf-8`"
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_lines(path: str | Path) -> list[str]:
    r"""The lines without their ends; what ends in \n has no empty line behind it. See read_text."""
    lines = read_text(path).split("\n")  # str.splitlines would also split at form feeds and other control characters
    return lines[:-1] if lines[-1] == "" else lines
