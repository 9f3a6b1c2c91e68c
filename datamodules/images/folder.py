"""Any folder or .zip of images."""

from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor

from datamodules.checks import check_fraction
from datamodules.described_data import content_hash
from datamodules.images.cache import load_images
from datamodules.images.class_subset import chosen_classes
from datamodules.images.datamodule import ImageDataModule, LabelledImages
from datamodules.images.listing import ImageListing, find_images, list_images
from datamodules.splits import is_held_out
from lab.files import displayable

TEST_SEED = 0  # the test images do not depend on the seeds of a run


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
        class_names: list[str] | None = None,
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
            class_names: Names of the classes for `predict_path`, by default those of the folders; from a checkpoint its
                own, so that the training images need not be there.
            **kwargs: See ImageDataModule.
        """
        super().__init__(image_size=image_size, **kwargs)
        check_fraction("test_fraction", test_fraction)
        self.path = path
        self.root = root
        self.channels = channels
        self.test_fraction = test_fraction
        self.cache_dir = cache_dir
        self.given_class_names = class_names

    @property
    def native_shape(self) -> tuple[int, int, int]:
        """The shape that files of any size are decoded to."""
        return (self.channels, self.image_size, self.image_size)

    @property
    def native_class_names(self) -> tuple[str, ...]:
        """Names of the class folders, or of the folder itself."""
        return self.listing.class_names

    @property
    def class_names(self) -> list[str]:
        """Name of each label."""
        if self.predict_path is not None and self.given_class_names is not None:
            return list(self.given_class_names)
        return super().class_names

    @cached_property
    def listing(self) -> ImageListing:
        """The files, their splits and their classes; no image is opened for it."""
        return list_images(find_images(self.path, self.root))

    def prepare_data(self) -> None:
        """Decode the images into the cache."""
        if self.predict_path is None or self.given_class_names is None:
            self._load()

    def read_splits(self) -> dict[str, LabelledImages]:
        """The decoded images of each split, which lie behind each other in the mapped cache: nothing is copied."""
        labels = self.listing.labels
        parts = torch.split(self._load(), [len(own) for own in self.split_indices.values()])
        return {
            split: (images, labels[indices])
            for (split, indices), images in zip(self.split_indices.items(), parts, strict=True)
        }

    @cached_property
    def split_indices(self) -> dict[str, Tensor]:
        """Indices of the listed files in each split; where there are no folders, by a hash of each file's name.

        So a file that is added or removed leaves the others where they are.
        """
        splits = dict(self.listing.splits)
        if "test" not in splits:
            splits["train"], splits["test"] = self._held_out(splits["train"], self.test_fraction, f"test {TEST_SEED}")
        if "val" not in splits and not self.validate_on_test:
            splits["train"], splits["val"] = self._held_out(
                splits["train"], self.val_fraction, f"val {self.split_seed}"
            )
        return splits

    def _held_out(self, indices: Tensor, fraction: float, key: str) -> tuple[Tensor, Tensor]:
        names = [self.listing.names[index] for index in indices.tolist()]
        classes = [self.listing.class_names[label] for label in self.listing.labels[indices].tolist()]
        held_out = torch.tensor(is_held_out(names, classes, fraction, key))
        return indices[~held_out], indices[held_out]

    @property
    def found(self) -> str:
        """The images of each class and split, and the files that are left out."""
        counts = self.listing.labels.bincount().tolist()
        numbers = chosen_classes(self.classes, self.native_class_names)
        classes = [f"{self.native_class_names[number]} {counts[number]:,}" for number in numbers]
        more = [f"{len(classes) - 10} more"] if len(classes) > 10 else []
        sizes = self.split_sizes
        return (
            f"{displayable(str(self.listing.path))}: {len(self.listing.files):,} images; "
            f"{len(classes)} {'class' if len(classes) == 1 else 'classes'} ({', '.join(classes[:10] + more)}); "
            + ", ".join(f"{split} {size:,}" for split, size in sizes.items())
            + (f"; left out: {self.listing.left_out}" if self.listing.left_out else "")
        )

    def content_hash(self) -> str:
        """A hash of the files' names, sizes and splits, which is the same after the folder has been copied."""
        listing, splits = self.listing, self.split_indices.items()
        split_of_file = {index: split for split, indices in splits for index in indices.tolist()}
        return content_hash(
            f"{name}\0{file.num_bytes}\0{split_of_file[index]}".encode("utf-8", "surrogateescape")
            for index, (name, file) in enumerate(zip(listing.names, listing.files, strict=True))
        )

    def _load(self) -> Tensor:
        order = torch.cat(list(self.split_indices.values()))
        return load_images(self.listing, self.image_size, self.channels, self.cache_dir, order)
