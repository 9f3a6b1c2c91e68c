"""The image files of a folder or .zip: finding and opening them, and counting what is left out."""

import contextlib
import io
import os
import stat
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO

from datamodules.images.formats import HEADER_BYTES, ending_of, image_endings, is_image_header, missing_plugin
from lab.errors import UserError, UserFileError
from lab.files import displayable, is_hidden

Place = tuple[str, ...]  # names of folders and a file, from the outermost inwards


@dataclass(frozen=True)
class ImageFile:
    """One image; a change of the file changes this."""

    name: str  # relative to the folder or zip, with "/"
    num_bytes: int
    version: int  # the time of the last change in ns, or in a zip the CRC


@dataclass
class FoundFiles:
    """What a folder or zip holds."""

    files: list[ImageFile] = field(default_factory=list)
    folders: set[Place] = field(default_factory=set)
    left_out: Counter[str] = field(default_factory=Counter)  # reason -> number of files

    def add(self, file: ImageFile, header: Callable[[], bytes]) -> None:
        """Sort a file in; `header` reads its first bytes, which is only done where the ending does not tell."""
        ending = ending_of(file.name)
        if file.num_bytes and (ending in image_endings() or is_image_header(header())):
            self.files.append(file)
        elif not file.num_bytes and ending in image_endings():
            self.files.append(file)  # to be named with what else cannot be decoded
        elif plugin := missing_plugin(ending):
            self.left_out[f"{ending} (install {plugin} to read them)"] += 1
        else:
            self.left_out[displayable(ending) or "without an ending"] += 1

    def left_out_text(self, most: int = 6) -> str:
        """What is left out and why, the most frequent first."""
        reasons = [f"{count:,} {reason}" for reason, count in self.left_out.most_common(most)]
        if others := sum(self.left_out.values()) - sum(count for _, count in self.left_out.most_common(most)):
            reasons.append(f"{others:,} others")
        return ", ".join(reasons)


def find_files(path: Path) -> FoundFiles:
    """The images in a folder or zip, in the order of their names.

    Raises:
        UserFileError: if a folder in it cannot be read.
        UserError: if it is neither a folder nor a complete zip.
    """
    found = list_folder(path) if path.is_dir() else list_zip(path)
    found.files.sort(key=lambda file: file.name)
    return found


def list_folder(path: Path) -> FoundFiles:
    """The images below the folder `path`. Symbolic links are followed, except those to a folder around them."""
    found = FoundFiles()
    status = path.stat()
    waiting: list[tuple[Path, Place, frozenset[tuple[int, int]]]] = [
        (path, (), frozenset({(status.st_dev, status.st_ino)}))
    ]
    while waiting:
        folder, place, around = waiting.pop()
        found.folders.add(place)
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            raise UserFileError(
                f"the folder {displayable(str(folder))} cannot be read ({error.strerror}): change its permissions, "
                "or move it out of the images"
            ) from error
        for entry in entries:
            if is_hidden(entry.name):
                found.left_out["hidden or of the system"] += 1
                continue
            try:
                status = entry.stat()
            except OSError:
                found.left_out["broken links"] += 1
                continue
            identity = (status.st_dev, status.st_ino)
            if stat.S_ISDIR(status.st_mode):
                if identity in around:
                    found.left_out["links to a folder around them"] += 1
                else:
                    waiting.append((folder / entry.name, (*place, entry.name), around | {identity}))
            elif stat.S_ISREG(status.st_mode):
                file = ImageFile("/".join((*place, entry.name)), status.st_size, status.st_mtime_ns)
                found.add(file, partial(_header_of, entry.path))
            else:
                found.left_out["neither files nor folders"] += 1
    return found


def _header_of(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(HEADER_BYTES)


def list_zip(path: Path) -> FoundFiles:
    r"""The images in the zip `path`; folders may be written with / or \, and of equal names the last one counts."""
    found = FoundFiles()
    with open_zip(path) as archive:
        entries = _entries(archive)
        names = [name for entry in archive.infolist() if (name := _name_of(entry)) and not name.endswith("/")]
        if repeated := len(names) - len(set(names)):
            found.left_out["listed twice in the zip"] += repeated
        for name, entry in entries.items():
            place = tuple(name.rstrip("/").split("/"))
            if any(is_hidden(part) for part in place):
                found.left_out["hidden or of the system"] += not name.endswith("/")
                continue
            found.folders.update(place[:depth] for depth in range(1, len(place)))
            if name.endswith("/"):
                found.folders.add(place)
            else:
                file = ImageFile(name, entry.file_size, entry.CRC)
                found.add(file, partial(_header_in, archive, entry))
    return found


def open_zip(path: Path) -> zipfile.ZipFile:
    """The zip `path`, opened to read.

    Raises:
        UserError: if it is none, or not whole.
    """
    try:
        if path.is_file():  # a pipe would be waited for
            return zipfile.ZipFile(path)
    except (
        zipfile.BadZipFile,
        ValueError,  # a name that is not in UTF-8 although it is marked so, or a negative place in the file
        NotImplementedError,  # a version that zipfile does not know
    ):
        pass
    raise UserError(
        f"{displayable(str(path))} ({path.stat().st_size:,} bytes) is neither a folder nor a complete .zip: "
        "copy it again if it was cut short, or unpack it and give the folder"
    )


def _entries(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The entries of a zip by their names; of equal ones the last."""
    return {name: entry for entry in archive.infolist() if (name := _name_of(entry))}


def _name_of(entry: zipfile.ZipInfo) -> str:
    r"""The name with / for \, ending in / if it is a folder; empty for one that names nothing."""
    name = "/".join(part for part in entry.filename.replace("\\", "/").split("/") if part not in ("", "."))
    return f"{name}/" if name and entry.filename.endswith(("/", "\\")) else name


def _header_in(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    try:
        with archive.open(entry) as file:
            return file.read(HEADER_BYTES)
    except Exception:  # what the decompressors raise has no common class
        return b""  # encrypted, damaged or compressed in an unknown way, and not an image by its name


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Callable[[str], BinaryIO]]:
    """A function that opens an image of the folder or zip `path` by the name that it has in ImageFile."""
    if path.is_dir():
        yield lambda name: (path / name).open("rb")
    else:
        with open_zip(path) as archive:
            entries = _entries(archive)
            yield lambda name: io.BytesIO(archive.read(entries[name]))
