"""CIFAR-10, read from the original batches or from a copy as image files."""

import hashlib
import pickle
import sys
import tarfile
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision

from datamodules.data_root import data_root
from datamodules.downloads import fetch, missing_data
from datamodules.images.cache import load_images
from datamodules.images.datamodule import ImageDataModule, LabelledImages
from datamodules.images.listing import ImageListing, list_images
from lab.errors import UserError, UserFileError


class CIFAR10(ImageDataModule):
    """Small photos of ten kinds of things, 32 x 32 RGB: 50,000 to train on and 10,000 to test (Krizhevsky 2009).

    Read from the first of these that the data folder holds: cifar-10-batches-py/ as torchvision stores it,
    cifar-10-python.tar.gz as it is downloaded, cifar10-jpeg.zip, cifar10.zip, or cifar10/, the last three with train/
    and test/ of one folder a class.
    """

    native_shape = (3, 32, 32)
    native_class_names = (
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
    )  # fmt: skip
    original = "cifar-10-batches-py"
    archive = "cifar-10-python.tar.gz"
    copies = ("cifar10-jpeg.zip", "cifar10.zip", "cifar10")

    def __init__(self, root: str | None = None, download: bool = True, **kwargs: Any) -> None:
        """Keep and check the options; the data is read in `setup`.

        Args:
            root: Folder that holds the data set; by default the environment variable DATA_ROOT, else data/.
            download: Fetch the data set (170 MB) if it is not there.
            **kwargs: See ImageDataModule.
        """
        super().__init__(**kwargs)
        self.root = data_root(root)
        self.download = download

    def prepare_data(self) -> None:
        """Download what is missing, or decode the copy that is there; say so if that is one with losses."""
        if (self.root / self.original).is_dir() or (self.root / self.archive).is_file():
            return
        if self.copy is not None:
            if any(file.name.lower().endswith((".jpg", ".jpeg")) for file in self.copy.files):
                note = "which are not fit for published FID comparisons"
                print(f"CIFAR10: using the JPEG copies in {self.copy.path}, {note}", file=sys.stderr)
            load_images(self.copy, 32, 3)
        elif self.download:
            try:
                fetch("CIFAR10", self.root, [self.original])
            except (OSError, RuntimeError) as error:
                raise self._not_found(str(error)) from error

    def read_splits(self) -> dict[str, LabelledImages]:
        """The original files, their archive, or the copy."""
        if (self.root / self.original).is_dir():
            return {"train": self._read_original(train=True), "test": self._read_original(train=False)}
        if (self.root / self.archive).is_file():
            return read_archive(self.root / self.archive)
        if self.copy is None:
            raise self._not_found("--data.download is false" if not self.download else "prepare_data was not called")
        if self.copy.class_names != self.native_class_names or set(self.copy.splits) != {"train", "test"}:
            raise UserError(
                f"{self.copy.path} holds {', '.join(self.copy.splits)} of {', '.join(self.copy.class_names)}; "
                f"expected train and test of {', '.join(self.native_class_names)}"
            )
        return self.copy.divided(load_images(self.copy, 32, 3))

    def _read_original(self, train: bool) -> LabelledImages:
        try:
            data = torchvision.datasets.CIFAR10(self.root, train=train)
        except RuntimeError as error:  # a checksum differs
            folder = self.root / self.original
            raise UserError(f"{folder} is incomplete or damaged: delete it and it is downloaded again") from error
        return torch.from_numpy(data.data).permute(0, 3, 1, 2).contiguous(), torch.tensor(data.targets)

    @cached_property
    def copy(self) -> ImageListing | None:
        """The files of the first copy that is there."""
        for name in self.copies:
            if (self.root / name).exists():
                return list_images(self.root / name)
        return None

    def _not_found(self, reason: str) -> UserFileError:
        names = (self.original, self.archive, *self.copies)
        looked_at = ", ".join(str((self.root / name).absolute()) for name in names)
        return missing_data("CIFAR10", looked_at, "one of them", "one of them", reason)


ARCHIVE_MD5 = "c58f30108f718f92721af3b95e74349a"
BATCHES = {"train": [f"data_batch_{number}" for number in range(1, 6)], "test": ["test_batch"]}


def read_archive(path: Path) -> dict[str, LabelledImages]:
    """The training and test images of cifar-10-python.tar.gz, which is not unpacked.

    Raises:
        UserError: if it is not the original, byte by byte: it holds pickles, which could run any code.
    """
    content = path.read_bytes()
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != ARCHIVE_MD5:
        raise UserError(f"{path} is incomplete or damaged: delete it and it is downloaded again")
    splits = {}
    with tarfile.open(path) as archive:
        for split, names in BATCHES.items():
            batches = []
            for name in names:
                file = archive.extractfile(f"cifar-10-batches-py/{name}")
                assert file is not None  # the checksum is right
                batches.append(pickle.loads(file.read(), encoding="latin1"))
            pixels = np.concatenate([batch["data"] for batch in batches]).reshape(-1, 3, 32, 32)
            labels = [label for batch in batches for label in batch["labels"]]
            splits[split] = (torch.from_numpy(pixels), torch.tensor(labels))
    return splits
