"""A folder or .zip of images: which files it holds, and what their folders say about classes and splits."""

import difflib
import os
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from datamodules.data_root import data_root, expanded
from datamodules.images.files import ImageFile, find_files
from datamodules.images.formats import image_endings
from datamodules.splits import split_of_folder
from lab.errors import UserError, UserFileError
from lab.files import displayable, displayable_names


@dataclass(frozen=True)
class ImageListing:
    """The images of a folder or zip, in the order of their names."""

    path: Path
    files: list[ImageFile]
    splits: dict[str, Tensor]  # "train" and, where there are such folders, "val" and "test": indices of files
    labels: Tensor  # (files,) int64
    class_names: tuple[str, ...]
    names: list[str]  # of the files, without the folders around everything and those of splits
    left_out: str  # which files are not taken, and why

    def divided(self, images: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        """Images and labels of each split, given the images of all files."""
        if len(self.splits) == 1:
            return dict.fromkeys(self.splits, (images, self.labels))  # all in order: nothing to copy
        return {split: (images[indices], self.labels[indices]) for split, indices in self.splits.items()}


def find_images(path: str, root: str | None) -> Path:
    """`path` itself, from the current folder, or from the data root.

    Raises:
        UserFileError: if neither exists; it names what was looked at, and the nearest name that does.
    """
    candidates = [expanded(path), data_root(root) / path]
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

    A single folder around everything is looked through. Hidden files and files that are not images are left out.
    Without class folders all images are of one class, named after `path`.

    Raises:
        UserError: if there are no images, or their folders contradict each other.
    """
    found = find_files(path)
    if not found.files:
        raise UserError(
            f"there are no images in {displayable(str(path))}: looked for files in the formats that Pillow opens "
            f"({', '.join(sorted(image_endings()))}), found {found.left_out_text() or 'nothing'}"
        )
    places = [tuple(file.name.split("/")) for file in found.files]
    wrapping = _wrapping_folders(places)
    places = [place[wrapping:] for place in places]
    folders = {folder[wrapping:] for folder in found.folders if len(folder) > wrapping}

    if any(split_of_folder(place[0]) == "train" for place in places if len(place) > 1):
        splits = []
        for place in places:
            split = split_of_folder(place[0]) if len(place) > 1 else None
            if split is None:
                raise UserError(
                    f"{displayable(str(path))} has a folder train/ or training/, so {displayable(place[0])} beside it "
                    "must be one of the folders val/, validation/, test/ or testing/"
                )
            splits.append(split)
        places = [place[1:] for place in places]
        folders = {folder[1:] for folder in folders if len(folder) == 2}
    else:
        splits = ["train"] * len(places)
        folders = {folder for folder in folders if len(folder) == 1}

    classes, class_names = _classes(path, found.files, places, splits, folders)
    number = {name: label for label, name in enumerate(class_names)}
    return ImageListing(
        path,
        found.files,
        splits={
            name: torch.tensor([index for index, split in enumerate(splits) if split == name])
            for name in dict.fromkeys(splits)
        },
        labels=torch.tensor([number[name] for name in classes]),
        class_names=tuple(displayable_names(class_names)),
        names=["/".join(place) for place in places],
        left_out=found.left_out_text(),
    )


def _classes(
    path: Path,
    files: list[ImageFile],
    places: list[tuple[str, ...]],
    splits: list[str],
    class_folders: set[tuple[str, ...]],
) -> tuple[list[str], tuple[str, ...]]:
    """Class of each file, and all of them in order."""
    shown = displayable(str(path))
    loose = [file.name for file, place in zip(files, places, strict=True) if len(place) == 1]
    if len(loose) == len(files):
        return [path.stem] * len(files), (path.stem,)
    if loose:
        raise UserError(
            f"{len(loose)} images of {shown} lie beside its class folders ({displayable(loose[0])}): "
            "move them into a class folder"
        )
    classes = [place[0] for place in places]
    empty = sorted({folder[0] for folder in class_folders} - set(classes))
    if empty:
        raise UserError(f"the class folder {displayable(empty[0])} of {shown} holds no images: remove it, or fill it")
    trained = {name for name, split in zip(classes, splits, strict=True) if split == "train"}
    untrained = sorted(set(classes) - trained)
    if untrained:
        raise UserError(
            f"the class {displayable(untrained[0])} of {shown} has no images in train/, only in val/ or test/"
        )
    return classes, tuple(sorted(trained))


def _wrapping_folders(places: list[tuple[str, ...]]) -> int:
    """Number of folders around everything that only hold another folder, such as the cifar10/ of cifar10/train/..."""
    depth = 0
    while len({place[depth] for place in places}) == 1 and all(len(place) > depth + 2 for place in places):
        depth += 1
    return depth
