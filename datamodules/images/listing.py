"""A folder or .zip of images: which files it holds, and what their folders say about classes and splits."""

import difflib
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import torch
from torch import Tensor

from datamodules.data_root import data_root
from lab.errors import UserError, UserFileError

IMAGE_ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


@dataclass(frozen=True)
class ImageFile:
    """One image; a change of the file changes this."""

    name: str  # relative to the folder or zip, with "/"
    num_bytes: int
    version: int  # the time of the last change in ns, or in a zip the CRC


@dataclass(frozen=True)
class ImageListing:
    """The images of a folder or zip, in the order of their names."""

    path: Path
    files: list[ImageFile]
    parts: dict[str, Tensor]  # "train" and, where there are such folders, "val" and "test": indices of files
    labels: Tensor  # (files,) int64
    class_names: tuple[str, ...]

    def divided(self, images: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        """Images and labels of each part, given the images of all files."""
        if len(self.parts) == 1:
            return dict.fromkeys(self.parts, (images, self.labels))  # all in order: nothing to copy
        return {part: (images[indices], self.labels[indices]) for part, indices in self.parts.items()}


def find_images(path: str, root: str | None) -> Path:
    """`path` itself, from the current folder, or from the data root.

    Raises:
        UserFileError: if neither exists; it names what was looked at, and the nearest name that does.
    """
    candidates = [Path(path).expanduser(), data_root(root) / path]
    for candidate in candidates:
        if candidate.exists():
            return Path(os.path.abspath(candidate))  # "." has no name that a class could have
    looked_at = " and ".join(dict.fromkeys(str(candidate.absolute()) for candidate in candidates))
    siblings = [name for candidate in candidates if candidate.parent.is_dir() for name in os.listdir(candidate.parent)]
    nearest = difflib.get_close_matches(Path(path).name, siblings, n=1)
    hint = f"did you mean '{nearest[0]}'?" if nearest else "give --data.path FOLDER or FILE.zip"
    raise UserFileError(f"there is no folder or .zip of images at {looked_at}: {hint}")


def list_images(path: Path) -> ImageListing:
    """List the images in a folder or zip, with or without train/val/test folders, with or without class folders.

    A single folder around everything is looked through. Hidden files and files that are no images are passed over.
    Without class folders all images are of one class, named after `path`.

    Raises:
        UserError: if there are no images, or their folders contradict each other.
    """
    files, folders, num_others = _list_folder(path) if path.is_dir() else _list_zip(path)
    if not files:
        raise UserError(
            f"there are no images in {path}: looked for files ending in {', '.join(IMAGE_ENDINGS)}, "
            f"found {num_others} other files"
        )
    files.sort(key=lambda file: file.name)
    places = [PurePosixPath(file.name).parts for file in files]
    wrapping = _wrapping_folders(places)
    places = [place[wrapping:] for place in places]
    folders = {folder[wrapping:] for folder in folders}

    if any(place[0] == "train" for place in places if len(place) > 1):
        for place in places:
            if place[0] not in SPLITS:
                raise UserError(f"{path} has a folder train/, so {place[0]} beside it must be val/ or test/")
        splits = [SPLITS[place[0]] for place in places]
        places = [place[1:] for place in places]
        folders = {folder[1:] for folder in folders if len(folder) == 2}
    else:
        splits = ["train"] * len(files)
        folders = {folder for folder in folders if len(folder) == 1}

    classes, class_names = _classes(path, files, places, splits, folders)
    number = {name: label for label, name in enumerate(class_names)}
    return ImageListing(
        path,
        files,
        parts={
            part: torch.tensor([index for index, split in enumerate(splits) if split == part])
            for part in dict.fromkeys(splits)
        },
        labels=torch.tensor([number[name] for name in classes]),
        class_names=class_names,
    )


def _classes(
    path: Path,
    files: list[ImageFile],
    places: list[tuple[str, ...]],
    splits: list[str],
    class_folders: set[tuple[str, ...]],
) -> tuple[list[str], tuple[str, ...]]:
    """Class of each file, and all of them in order."""
    loose = [file.name for file, place in zip(files, places, strict=True) if len(place) == 1]
    if len(loose) == len(files):
        return [path.stem] * len(files), (path.stem,)
    if loose:
        raise UserError(
            f"{len(loose)} images of {path} lie beside its class folders ({loose[0]}): move them into a class folder"
        )
    classes = [place[0] for place in places]
    empty = sorted({folder[0] for folder in class_folders} - set(classes))
    if empty:
        raise UserError(f"the class folder {empty[0]} of {path} holds no images: remove it, or fill it")
    trained = {name for name, split in zip(classes, splits, strict=True) if split == "train"}
    untrained = sorted(set(classes) - trained)
    if untrained:
        raise UserError(f"the class {untrained[0]} of {path} has no images in train/, only in val/ or test/")
    return classes, tuple(sorted(trained))


def _wrapping_folders(places: list[tuple[str, ...]]) -> int:
    """Number of folders around everything that only hold another folder, such as the cifar10/ of cifar10/train/..."""
    depth = 0
    while len({place[depth] for place in places}) == 1 and all(len(place) > depth + 2 for place in places):
        depth += 1
    return depth


def _list_folder(path: Path) -> tuple[list[ImageFile], set[tuple[str, ...]], int]:
    """Images, folders and the number of other files below `path`."""
    files: list[ImageFile] = []
    folders: set[tuple[str, ...]] = set()
    num_others = 0
    for directory, subfolders, names in os.walk(path, followlinks=True):
        subfolders[:] = [name for name in subfolders if not _is_hidden(name)]
        place = Path(directory).relative_to(path).parts
        folders.add(place)
        for name in names:
            if _is_hidden(name):
                continue
            if not name.lower().endswith(IMAGE_ENDINGS):
                num_others += 1
                continue
            status = os.stat(os.path.join(directory, name))
            files.append(ImageFile("/".join((*place, name)), status.st_size, status.st_mtime_ns))
    return files, folders, num_others


def _list_zip(path: Path) -> tuple[list[ImageFile], set[tuple[str, ...]], int]:
    """Images, folders and the number of other files in the zip `path`."""
    if not zipfile.is_zipfile(path):
        raise UserError(
            f"{path} ({path.stat().st_size:,} bytes) is neither a folder nor a complete .zip: "
            "copy it again if it was cut short, or unpack it and give the folder"
        )
    files: list[ImageFile] = []
    folders: set[tuple[str, ...]] = set()
    num_others = 0
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            place = PurePosixPath(entry.filename).parts
            if any(_is_hidden(name) for name in place):
                continue
            folders.update(place[:depth] for depth in range(1, len(place)))
            if entry.is_dir():
                folders.add(place)
            elif entry.filename.lower().endswith(IMAGE_ENDINGS):
                files.append(ImageFile(entry.filename, entry.file_size, entry.CRC))
            else:
                num_others += 1
    return files, folders, num_others


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"
