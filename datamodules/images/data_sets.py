"""The image data sets, under the names that the command line knows them by."""

import sys
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
import torchvision
from torch import Tensor

from datamodules.data_root import data_root
from datamodules.downloads import fetch, missing_data
from datamodules.images.cache import load_images
from datamodules.images.datamodule import ImageDataModule, LabelledImages, check_fraction, random_split
from datamodules.images.idx_files import read_idx
from datamodules.images.listing import ImageListing, find_images, list_images
from lab.errors import UserError, UserFileError

DIGIT_NAMES = tuple("0123456789")
IDX_FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
TEST_SEED = 0  # the test images stay the same ones whatever the seeds of a run are


class Digits(ImageDataModule):
    """scikit-learn's 1,797 handwritten digits, 8 x 8 gray: part of the package, so there is nothing to download.

    A fifth of each class is kept apart for testing.
    """

    native_shape = (1, 8, 8)
    native_class_names = DIGIT_NAMES

    def read_parts(self) -> dict[str, LabelledImages]:
        """The digits, their 17 shades 0..16 stretched to 0..255."""
        from sklearn.datasets import load_digits  # takes 0.7 s to import
        from sklearn.model_selection import train_test_split

        digits = load_digits()
        images = torch.from_numpy(digits.images).mul(255 / 16).round().to(torch.uint8).unsqueeze(1)
        labels = torch.from_numpy(digits.target).long()
        train, test = train_test_split(
            np.arange(len(labels)), test_size=0.2, stratify=digits.target, random_state=TEST_SEED
        )
        return {part: (images[sorted(own)], labels[sorted(own)]) for part, own in (("train", train), ("test", test))}


class MNIST(ImageDataModule):
    """Handwritten digits, 28 x 28 gray: 60,000 to train on and 10,000 to test (LeCun et al. 1998)."""

    native_shape = (1, 28, 28)
    native_class_names = DIGIT_NAMES
    data_set = "MNIST"  # torchvision's class, and the name of its folder

    def __init__(self, root: str | None = None, download: bool = True, **kwargs: Any) -> None:
        """Keep and check the options; the data is read in `setup`.

        Args:
            root: Folder that holds MNIST/ or FashionMNIST/; by default the environment variable DATA_ROOT, else data/.
            download: Fetch the data set (12 to 31 MB) if it is not there.
            **kwargs: See ImageDataModule.
        """
        super().__init__(**kwargs)
        self.root = data_root(root)
        self.download = download

    def prepare_data(self) -> None:
        """Download the files that are missing."""
        missing = self._missing_files()
        if missing and self.download:
            try:
                fetch(self.data_set, self.root, missing)
            except (OSError, RuntimeError) as error:
                raise self._not_found(missing, str(error)) from error

    def read_parts(self) -> dict[str, LabelledImages]:
        """The four idx files."""
        if missing := self._missing_files():
            raise self._not_found(
                missing, "--data.download is false" if not self.download else "prepare_data was not called"
            )
        return {part: self._read(*names) for part, names in IDX_FILES.items()}

    def _read(self, image_file: str, label_file: str) -> LabelledImages:
        folder = self.root / self.data_set / "raw"
        images = read_idx(folder / image_file, self.native_shape[1:]).unsqueeze(1)
        labels = read_idx(folder / label_file, ()).long()
        if len(images) != len(labels):
            raise UserError(f"{folder / label_file} has {len(labels):,} labels for {len(images):,} images")
        return images, labels

    def _missing_files(self) -> list[str]:
        names = [f"{self.data_set}/raw/{name}" for part in IDX_FILES.values() for name in part]
        return [name for name in names if not (self.root / name).is_file()]

    def _not_found(self, missing: list[str], reason: str) -> UserFileError:
        folder = (self.root / self.data_set / "raw").absolute()
        looked_at = f"{folder} for {', '.join(name.rpartition('/')[2] for name in missing)}"
        return missing_data(self.data_set, looked_at, "the uncompressed files", f"{self.data_set}/", reason)


class FashionMNIST(MNIST):
    """Photos of clothes, 28 x 28 gray: 60,000 to train on and 10,000 to test (Xiao et al. 2017)."""

    native_class_names = (
        "t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle-boot",
    )  # fmt: skip
    data_set = "FashionMNIST"


class CIFAR10(ImageDataModule):
    """Small photos of ten kinds of things, 32 x 32 RGB: 50,000 to train on and 10,000 to test (Krizhevsky 2009).

    Read from the first of these that the data folder holds: cifar-10-batches-py/ as torchvision keeps it,
    cifar10-jpeg.zip, cifar10.zip, or cifar10/, the last three with train/ and test/ of one folder a class.
    """

    native_shape = (3, 32, 32)
    native_class_names = (
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
    )  # fmt: skip
    original = "cifar-10-batches-py"
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
        if (self.root / self.original).is_dir():
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

    def read_parts(self) -> dict[str, LabelledImages]:
        """The original files, else the copy."""
        if (self.root / self.original).is_dir():
            return {"train": self._read_original(train=True), "test": self._read_original(train=False)}
        if self.copy is None:
            raise self._not_found("--data.download is false" if not self.download else "prepare_data was not called")
        if self.copy.class_names != self.native_class_names or set(self.copy.parts) != {"train", "test"}:
            raise UserError(
                f"{self.copy.path} holds {', '.join(self.copy.parts)} of {', '.join(self.copy.class_names)}; "
                f"expected train and test of {', '.join(self.native_class_names)}"
            )
        return self.copy.divided(load_images(self.copy, 32, 3))

    def _read_original(self, train: bool) -> LabelledImages:
        try:
            part = torchvision.datasets.CIFAR10(self.root, train=train)
        except RuntimeError as error:  # a checksum differs
            folder = self.root / self.original
            raise UserError(f"{folder} is incomplete or damaged: delete it and it is downloaded again") from error
        return torch.from_numpy(part.data).permute(0, 3, 1, 2).contiguous(), torch.tensor(part.targets)

    @cached_property
    def copy(self) -> ImageListing | None:
        """The files of the first copy that is there."""
        for name in self.copies:
            if (self.root / name).exists():
                return list_images(self.root / name)
        return None

    def _not_found(self, reason: str) -> UserFileError:
        names = (self.original, *self.copies)
        looked_at = ", ".join(str((self.root / name).absolute()) for name in names)
        return missing_data("CIFAR10", looked_at, "one of them", "one of them", reason)


class ImageFolder(ImageDataModule):
    """Any folder or .zip of images, with or without class folders, with or without train/, val/ and test/ around them.

    Images are turned upright, their short side is scaled to `image_size` and the centre is cut out. They are decoded
    once and kept in a cache file.
    """

    image_size: int

    def __init__(
        self,
        path: str,
        root: str | None = None,
        image_size: int = 64,
        channels: Literal[1, 3] = 3,
        test_fraction: float = 0.0,
        cache_dir: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Keep and check the options; the images are read in `setup`.

        Args:
            path: The folder or .zip, from the current folder or from the data root.
            root: The data root; by default the environment variable DATA_ROOT, else data/.
            image_size: Height and width in pixels of the images that the model sees.
            channels: 3 for colour, 1 for gray.
            test_fraction: Part of the images that is kept for testing where there is no test/, from 0 to below 1.
            cache_dir: Folder of the decoded images; by default lightning_models in $XDG_CACHE_HOME or ~/.cache.
            **kwargs: See ImageDataModule.
        """
        super().__init__(image_size=image_size, **kwargs)
        check_fraction("test_fraction", test_fraction)
        self.path = path
        self.root = root
        self.channels = channels
        self.test_fraction = test_fraction
        self.cache_dir = cache_dir

    @property
    def native_shape(self) -> tuple[int, int, int]:
        """The shape that files of any size are decoded to."""
        return (self.channels, self.image_size, self.image_size)

    @property
    def native_class_names(self) -> tuple[str, ...]:
        """Names of the class folders, or of the folder itself."""
        return self.listing.class_names

    @cached_property
    def listing(self) -> ImageListing:
        """The files, their parts and their classes; no image is opened for it."""
        return list_images(find_images(self.path, self.root))

    def prepare_data(self) -> None:
        """Decode the images into the cache."""
        self._load()

    def read_parts(self) -> dict[str, LabelledImages]:
        """The decoded images."""
        parts = self.listing.divided(self._load())
        if "test" not in parts:
            parts["train"], parts["test"] = random_split(parts["train"], self.test_fraction, TEST_SEED, "test_fraction")
        return parts

    def _load(self) -> Tensor:
        return load_images(self.listing, self.image_size, self.channels, self.cache_dir)
