"""Any folder or .zip of images."""

from functools import cached_property
from typing import Any, Literal

from torch import Tensor

from datamodules.checks import check_fraction
from datamodules.images.cache import load_images
from datamodules.images.datamodule import ImageDataModule, LabelledImages, random_split
from datamodules.images.listing import ImageListing, find_images, list_images

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
