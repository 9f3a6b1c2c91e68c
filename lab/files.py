"""Files that are never seen half-written."""

import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

UNFINISHED = ".unfinished"  # how the names of unfinished files end


@contextmanager
def atomic_write(path: Path, through_power_cuts: bool = True) -> Iterator[Path]:
    """A path beside `path` to write to, which replaces `path` when the block ends without an error.

    Whoever reads `path` sees the old content or the new one, whole, also after a kill or a full disk, and unless
    `through_power_cuts` is false (which is faster for many small files) after a power cut. After an error the
    unfinished file is removed and `path` is as it was. The folder is made if it does not exist.

        with atomic_write(run_dir / "summary.json") as unfinished:
            unfinished.write_text(text)
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{unfinished_prefix(path)}{uuid.uuid4().hex}{UNFINISHED}")
    try:
        yield unfinished
        if through_power_cuts:
            with unfinished.open("rb") as file:
                os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)


def unfinished_prefix(path: Path) -> str:
    """How the names of the unfinished files of `path` begin, short enough where that name is as long as may be."""
    return f".{path.name[:50]}."


SYSTEM_NAMES = {"__macosx", "@eadir", "#recycle", "$recycle.bin", "thumbs.db", "ehthumbs.db", "desktop.ini"}


def is_hidden(name: str) -> bool:
    """Whether a file or folder of that name is hidden, or kept by an operating system or network drive for itself."""
    return name.startswith(".") or name.lower() in SYSTEM_NAMES


# Control characters, ends of lines, and marks that turn the direction of writing; joiners of letters and emoji stay.
UNSHOWN = (*range(32), *range(127, 160), 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
REPLACED = dict.fromkeys(UNSHOWN, "\N{REPLACEMENT CHARACTER}")
ESCAPED = {code: f"\\x{code:02x}" for code in UNSHOWN}


def displayable(name: str) -> str:
    """A file's name on one line, with replacement characters for control characters and bytes that are not UTF-8."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace").translate(REPLACED)


def is_text(path: str | os.PathLike[str]) -> bool:
    """Whether a path holds no bytes but those of UTF-8 text."""
    return not any("\udc80" <= character <= "\udcff" for character in os.fsdecode(path))


def displayable_names(names: Sequence[str]) -> list[str]:
    r"""Displayable names that stay different: with escapes such as \xe9 where two would look the same."""
    shown = [displayable(name) for name in names]
    if len(set(shown)) == len(set(names)):
        return shown
    raw = [name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace") for name in names]
    return [name.translate(ESCAPED) for name in raw]
