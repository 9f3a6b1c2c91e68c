"""scikit-learn's digits: the data set that needs no download."""

import numpy as np
import torch

from datamodules.images.datamodule import ImageDataModule, LabelledImages

DIGIT_NAMES = tuple("0123456789")
SPLIT_SEED = 0  # the test images do not depend on the seeds of a run


class Digits(ImageDataModule):
    """scikit-learn's 1,797 handwritten digits, 8 x 8 gray: part of the package, so there is nothing to download.

    A fifth of each class is kept apart for testing.
    """

    native_shape = (1, 8, 8)
    native_class_names = DIGIT_NAMES

    def read_splits(self) -> dict[str, LabelledImages]:
        """The digits, their 17 shades 0..16 stretched to 0..255."""
        from sklearn.datasets import load_digits  # takes 0.7 s to import
        from sklearn.model_selection import train_test_split

        digits = load_digits()
        images = torch.from_numpy(digits.images).mul(255 / 16).round().to(torch.uint8).unsqueeze(1)
        labels = torch.from_numpy(digits.target).long()
        train, test = train_test_split(
            np.arange(len(labels)), test_size=0.2, stratify=digits.target, random_state=SPLIT_SEED
        )
        return {split: (images[sorted(own)], labels[sorted(own)]) for split, own in (("train", train), ("test", test))}
