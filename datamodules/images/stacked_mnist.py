"""Stacked MNIST: a data set whose 1,000 modes can be counted."""

from typing import Any

import torch
from torch import Tensor

from datamodules.images.datamodule import LabelledImages
from datamodules.images.mnist import MNIST
from lab.errors import UserError


class StackedMNIST(MNIST):
    """Three random MNIST digits as the channels of an image: 1,000 likely classes (Metz et al. 2017, 3.3.1).

    The class is the number that the digits make, red first. The test images are made of MNIST's test digits.
    """

    native_shape = (3, 28, 28)
    native_class_names = tuple(f"{number:03}" for number in range(1000))
    feature_classifier = "mnist"  # published by configs/classifier/mnist_features.yaml; it classifies each channel
    classified_by_channel = True

    def __init__(
        self, num_images: int = 128_000, num_test_images: int = 26_000, stack_seed: int = 0, **kwargs: Any
    ) -> None:
        """Keep and check the options; the data is read in `setup`.

        Args:
            num_images: Images to train and validate on, 2,352 bytes each.
            num_test_images: Images to test on; modes are counted among as many generated ones.
            stack_seed: Seed that decides which digits are put together.
            **kwargs: See MNIST.

        Raises:
            UserError: if an option is out of its range.
        """
        super().__init__(**kwargs)
        if num_images < 1 or num_test_images < 1:
            raise UserError(f"num_images is {num_images} and num_test_images {num_test_images}: use at least 1 of each")
        self.num_images, self.num_test_images, self.stack_seed = num_images, num_test_images, stack_seed

    def read_splits(self) -> dict[str, LabelledImages]:
        """MNIST's splits, each put together with itself."""
        counts = {"train": self.num_images, "test": self.num_test_images}
        generator = torch.Generator().manual_seed(self.stack_seed)
        return {split: stacked(*own, counts[split], generator) for split, own in super().read_splits().items()}


def stacked(images: Tensor, labels: Tensor, count: int, generator: torch.Generator) -> LabelledImages:
    """`count` images (count, 3, height, width) of three random ones of `images` (images, 1, height, width) each."""
    chosen = torch.randint(len(images), (count, 3), generator=generator)
    return images[:, 0][chosen], labels[chosen] @ torch.tensor([100, 10, 1])
