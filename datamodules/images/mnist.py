"""MNIST and FashionMNIST, read from their idx files."""

from pathlib import Path
from typing import Any

from datamodules.data_root import data_root
from datamodules.downloads import fetch, missing_data
from datamodules.images.datamodule import ImageDataModule, LabelledImages
from datamodules.images.digits import DIGIT_NAMES
from datamodules.images.idx_files import find_idx_file, read_idx
from lab.errors import UserError, UserFileError

IDX_FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}


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

    def read_splits(self) -> dict[str, LabelledImages]:
        """The four idx files, compressed or not."""
        if missing := self._missing_files():
            raise self._not_found(
                missing, "--data.download is false" if not self.download else "prepare_data was not called"
            )
        return {split: self._read(*names) for split, names in IDX_FILES.items()}

    def _read(self, image_file: str, label_file: str) -> LabelledImages:
        image_path, label_path = (find_idx_file(name, self._folders) for name in (image_file, label_file))
        assert image_path is not None  # read_splits has looked for both
        assert label_path is not None
        images = read_idx(image_path, self.native_shape[1:]).unsqueeze(1)
        labels = read_idx(label_path, ()).long()
        if len(images) != len(labels):
            raise UserError(f"{label_path} has {len(labels):,} labels for {len(images):,} images")
        return images, labels

    def _missing_files(self) -> list[str]:
        names = [f"{self.data_set}/raw/{name}" for names in IDX_FILES.values() for name in names]
        return [name for name in names if find_idx_file(Path(name).name, self._folders) is None]

    @property
    def _folders(self) -> list[Path]:
        """Where the files may be; both data sets' files have the same names, so only MNIST's may lie in the root."""
        folders = [self.root / self.data_set / "raw", self.root / self.data_set]
        return [*folders, self.root] if self.data_set == "MNIST" else folders

    def _not_found(self, missing: list[str], reason: str) -> UserFileError:
        folder = (self.root / self.data_set / "raw").absolute()
        looked_at = f"{folder} for {', '.join(name.rpartition('/')[2] for name in missing)}"
        return missing_data(
            self.data_set, looked_at, "the files, compressed (.gz) or not,", f"{self.data_set}/", reason
        )


class FashionMNIST(MNIST):
    """Photos of clothes, 28 x 28 gray: 60,000 to train on and 10,000 to test (Xiao et al. 2017)."""

    native_class_names = (
        "t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle-boot",
    )  # fmt: skip
    data_set = "FashionMNIST"
