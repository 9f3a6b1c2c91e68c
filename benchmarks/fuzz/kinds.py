"""What the kinds of generated files have in common: names, broken bytes, and what a folder holds."""

import hashlib
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

Use = Callable[[Path], None]  # reads the files of a case; the folder is for what it writes


@dataclass(frozen=True)
class Kind:
    """One kind of files.

    Args:
        name: of the kind.
        share: of all cases, beside the shares of the others.
        make: writes files into a folder, and returns what reads them.
    """

    name: str
    share: int
    make: Callable[[Random, Path], Use]


NAMES = [
    *(
        "a",
        "b",
        "cat",
        "dog",
        "IMG_0001",
        "x y",
        "ünï",
        "e\u0301",
        "\u00e9",
        "日本語",
        "\U0001f600",
        "CON",
        "~",
        "$HOME",
    ),
    *("a.b.c", "-rf", "--help", "*", "?", "[a]", "{}", "%s", "%(a)s", "'", '"', "a'b", "#", "a,b", "a;b", "..."),
    *(
        "\x01",
        "a\nb",
        "a\tb",
        "a\rb",
        "\x1b[31m",
        "\u202eabc",
        "\u2028",
        "\ufeffa",
        "\u200b",
        " ",
        " a",
        "a ",
        "0",
        "00",
    ),
    *("train", "test", "val", "Training", "TESTING", "validation", "._a", ".hidden", "Thumbs.db", "@eaDir", "__MACOSX"),
    *(
        "\udce9",
        "caf\udce9",
        "\udcff\udcfe",
        "x" * 200,
        "é" * 100,
        "None",
        "null",
        "nan",
        "1e3",
        "class",
        "a\\b",
        "&amp;",
    ),
]


def some_name(random: Random) -> str:
    """A name that a file or class may have; \\udc80 to \\udcff stand for bytes that are not UTF-8."""
    if random.random() < 0.6:
        return random.choice("abcdefgh") + str(random.randrange(100))
    return random.choice(NAMES)


def garbage(random: Random, most: int = 3000) -> bytes:
    """Random bytes."""
    return random.randbytes(random.randrange(most))


def broken(random: Random, content: bytes) -> bytes:
    """The content with a random fault: cut off, emptied, bits flipped, parts overwritten, repeated or put before it."""
    how = random.randrange(9)
    place = random.randrange(len(content) + 1)
    if how == 0:
        return content[:place]
    if how == 1:
        return b""
    if how in (2, 3):
        changed = bytearray(content)
        for _ in range(random.choice([1, 1, 1, 3, 30])):
            if changed:
                changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
        return bytes(changed)
    if how == 4:
        return content[:place] + bytes(random.randrange(1, 500)) + content[place:]
    if how == 5:
        return content[:place] + content[place + random.randrange(1, 200) :]
    if how == 6:
        return content + garbage(random)
    if how == 7:
        return garbage(random) + content
    return content[:place] + garbage(random, 50) + content[place + 50 :]


def write(path: Path, content: bytes) -> None:
    """Write a file and the folders around it, unless its name is impossible here or taken."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() and not path.is_symlink():
            path.write_bytes(content)
    except (OSError, ValueError):
        pass


def state_of(folder: Path) -> str:
    """A hash of all that a folder holds: names, permissions, contents and times of the last change."""
    digest = hashlib.sha256()
    for directory, folders, files in os.walk(os.fsencode(folder)):
        folders.sort()
        for name in sorted([*folders, *files]):
            path = os.path.join(directory, name)
            status = os.lstat(path)
            digest.update(repr((path, status.st_mode, status.st_mtime_ns, status.st_size)).encode())
            if stat.S_ISLNK(status.st_mode):
                digest.update(os.readlink(path))
            elif stat.S_ISREG(status.st_mode):
                with open(path, "rb") as file:
                    digest.update(file.read())
    return digest.hexdigest()
