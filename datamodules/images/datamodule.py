"""What all image data has in common: splits, classes, sizes, batches and the range of pixel values."""

import functools
from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.checks import check_at_least_one, check_fraction
from datamodules.described_data import DescribedDataModule, content_hash
from datamodules.images.augmentation import flip_half_of_them, shift_randomly
from datamodules.images.class_subset import chosen_classes
from datamodules.images.predicted import read_images_to_predict
from datamodules.resumable_loader import default_seed
from datamodules.tensor_dataset import Batch, TensorLoader
from lab.errors import UserError

LabelledImages = tuple[Tensor, Tensor]  # (images, channels, height, width) uint8 and (images,) int64

Augmentation = Callable[[Batch, torch.Generator], Batch]

VALUE_RANGES = ((-1.0, 1.0), (0.0, 1.0))


class ImageDataModule(DescribedDataModule):
    """Images and their classes, read once into memory; batches of (images, labels).

    A kind of images says what it is without reading any pixel (`native_shape`, `native_class_names`: the model is built
    from them first) and reads its splits in `read_splits`.

    After `setup`: `train_images`, `val_images` and `test_images`, uint8 of shape (images, *image_shape), and
    `train_labels`, ..., int64 in 0..num_classes - 1. The model gets float32 images in `value_range`: 8 bits a pixel are
    transferred and then scaled on the device.
    """

    def __init__(
        self,
        batch_size: int = 128,
        value_range: tuple[float, float] = (-1.0, 1.0),
        image_size: int | None = None,
        classes: list[int | str] | None = None,
        shuffle: bool = True,
        drop_last: bool = False,
        with_replacement: bool = False,
        horizontal_flip: bool = False,
        random_shift: int = 0,
        val_fraction: float = 0.1,
        validate_on_test: bool = False,
        split_seed: int = 0,
        seed: int | None = None,
        predict_path: str | list[str] | None = None,
    ) -> None:
        """Keep and check the options; the data is read in `setup`.

        Args:
            batch_size: Images in a batch of each process.
            value_range: Lowest and highest pixel value that the model sees: [-1.0, 1.0] or [0.0, 1.0].
            image_size: Height and width in pixels that images are scaled to; by default their own.
            classes: Numbers or names of the classes to keep, all by default; labels then count from 0 in this order.
            shuffle: Take the training images in another order each epoch, otherwise in the stored one.
            drop_last: Leave out the last training batch of an epoch if it is smaller than the others.
            with_replacement: Draw training images independently of each other, so that an epoch repeats some.
            horizontal_flip: Mirror each training image with probability one half.
            random_shift: Move each training image by up to so many pixels in each direction; black moves in.
            val_fraction: Part of the training images that is kept for validation, from 0 (none) to below 1.
            validate_on_test: Train on all training images and validate on the test images, as report 5 does. Fine for
                repeating its numbers; nothing may be chosen by them.
            split_seed: Seed that decides which images are kept for validation.
            seed: Seed of the order of batches; by default the one of seed_everything, else 0.
            predict_path: Images for `predict`, which need no labels: a folder, a .zip or a file, or a list of them; by
                default the test images.

        Raises:
            UserError: if an option is out of its range.
        """
        super().__init__()
        check_at_least_one(batch_size=batch_size)
        if tuple(value_range) not in VALUE_RANGES:
            raise UserError(f"value_range is {list(value_range)}: use [-1.0, 1.0] or [0.0, 1.0]")
        if image_size is not None and image_size < 1:
            raise UserError(f"image_size is {image_size}: use a whole number of pixels from 1 up")
        check_fraction("val_fraction", val_fraction)
        if random_shift < 0:
            raise UserError(f"random_shift is {random_shift}: use a whole number of pixels from 0 (none) up")
        self.batch_size = batch_size
        self.value_range = (float(value_range[0]), float(value_range[1]))
        self.image_size = image_size
        self.classes = classes
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.with_replacement = with_replacement
        self.horizontal_flip = horizontal_flip
        self.random_shift = random_shift
        self.val_fraction = val_fraction
        self.validate_on_test = validate_on_test
        self.split_seed = split_seed
        self.predict_path = predict_path
        self.predict_names: list[str] | None = None  # of the images of predict_path, known after `setup`
        self._hash: str | None = None
        self.seed = default_seed() if seed is None else seed

    @property
    @abstractmethod
    def native_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the images as they are."""

    @property
    @abstractmethod
    def native_class_names(self) -> tuple[str, ...]:
        """Names of all classes."""

    @abstractmethod
    def read_splits(self) -> dict[str, LabelledImages]:
        """The images of "train", "test" and, where the source has such a split, "val", with all classes."""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        channels, height, width = self.native_shape
        return (channels, self.image_size or height, self.image_size or width)

    @property
    def num_classes(self) -> int:
        """Number of classes that are kept."""
        return len(self.class_names)

    @property
    def class_names(self) -> list[str]:
        """Name of each label."""
        return [self.native_class_names[number] for number in self._class_numbers()]

    def setup(self, stage: str) -> None:
        """Read the data, or the images to predict; without validation images, turn off the validation of a fit."""
        if stage == "predict" and self.predict_path is not None:
            channels, size, _ = self.image_shape
            named = read_images_to_predict(self.predict_path, size, channels)
            self.predict_images, self.predict_names = named.images, named.names
            return
        if not hasattr(self, "train_images"):
            splits = {name: self._fitted(name, *own) for name, own in self.read_splits().items()}
            if self.validate_on_test:
                splits["val"] = splits["test"]
            elif "val" not in splits:
                splits["train"], splits["val"] = random_split(
                    splits["train"], self.val_fraction, self.split_seed, "val_fraction"
                )
            self.train_images, self.train_labels = splits["train"]
            self.val_images, self.val_labels = splits["val"]
            self.test_images, self.test_labels = splits["test"]
            if stage == "fit":
                self.print_found()
        if stage == "fit" and self.trainer is not None and len(self.val_images) == 0:
            self.trainer.limit_val_batches = 0  # Lightning warns of an empty loader

    @property
    def split_sizes(self) -> dict[str, int]:
        """Images in each split; known after `setup`."""
        return {"train": len(self.train_images), "val": len(self.val_images), "test": len(self.test_images)}

    @property
    def fingerprint(self) -> dict[str, int | str]:
        """The sizes of the splits, the number of classes, and a hash of the data."""
        if self._hash is None:
            self._hash = self.content_hash()
        return {**self.split_sizes, "classes": self.num_classes, "hash": self._hash}

    def content_hash(self) -> str:
        """A hash of all labels and of the first 1,000 images of each split."""
        splits = (
            (self.train_images, self.train_labels),
            (self.val_images, self.val_labels),
            (self.test_images, self.test_labels),
        )
        return content_hash(tensor.numpy().tobytes() for images, labels in splits for tensor in (images[:1000], labels))

    def train_dataloader(self) -> TensorLoader:
        """Batches of the training images."""
        # overfit_batches must repeat the same batches; Lightning can turn the shuffling off in its own loaders only
        overfits = getattr(self.trainer, "overfit_batches", 0) > 0
        return TensorLoader(
            (self.train_images, self.train_labels),
            self.batch_size,
            shuffle=self.shuffle and not overfits,
            drop_last=self.drop_last,
            with_replacement=self.with_replacement and not overfits,
            seed=self.seed,
            augment=self._augmentation(),
        )

    @property
    def train_batch_sizes(self) -> list[int]:
        """Images in each training batch of an epoch of this process; known after `setup`."""
        return self.train_dataloader().batch_sizes

    def val_dataloader(self) -> TensorLoader:
        """Each validation image once."""
        return self._evaluation_loader("validation", self.val_images, self.val_labels, "val_fraction")

    def test_dataloader(self) -> TensorLoader:
        """Each test image once."""
        return self._evaluation_loader("test", self.test_images, self.test_labels, "test_fraction")

    def predict_dataloader(self) -> TensorLoader:
        """The images of `predict_path` in their order, with labels of 0; without it the test images."""
        if self.predict_path is None:
            return self.test_dataloader()
        labels = torch.zeros(len(self.predict_images), dtype=torch.int64)
        return TensorLoader((self.predict_images, labels), self.batch_size, exactly_once=True)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Scale the pixels 0..255 to `value_range`, exactly at both ends, in float32 on the device."""
        images, *rest = batch
        if images.dtype == torch.uint8:
            low, high = self.value_range
            images = images.float().div_(255 / (high - low)).add_(low)
        return (images, *rest)

    def _class_numbers(self) -> list[int]:
        return chosen_classes(self.classes, self.native_class_names)

    def _augmentation(self) -> Augmentation | None:
        """What changes the training images, drawn anew for each."""
        steps: list[Augmentation] = [flip_half_of_them] if self.horizontal_flip else []
        if self.random_shift:
            steps.append(functools.partial(shift_randomly, reach=self.random_shift))
        if not steps:
            return None
        return lambda batch, generator: functools.reduce(lambda changed, step: step(changed, generator), steps, batch)

    def _fitted(self, split: str, images: Tensor, labels: Tensor) -> LabelledImages:
        """The chosen classes, at the chosen size."""
        highest = len(self.native_class_names) - 1
        outside = labels[(labels < 0) | (labels > highest)]
        if len(outside):
            raise UserError(
                f"the {split} split of {type(self).__name__} holds the label {int(outside[0])} ({len(outside):,} such "
                f"labels), but its classes are 0 to {highest}: correct the file of labels"
            )
        if self.classes is not None:
            new_label = torch.full((len(self.native_class_names),), -1)
            new_label[self._class_numbers()] = torch.arange(self.num_classes)
            labels = new_label[labels]
            images, labels = images[labels >= 0], labels[labels >= 0]
        if images.shape[1:] != self.image_shape:
            images = F.interpolate(images, size=self.image_shape[1:], mode="bilinear", antialias=True)
        return images, labels

    def _evaluation_loader(self, kind: str, images: Tensor, labels: Tensor, option: str) -> TensorLoader:
        if len(images) == 0:
            raise UserError(f"there are no {kind} images: keep some with --data.{option} 0.1")
        return TensorLoader((images, labels), self.batch_size, exactly_once=True)


def random_split(
    training: LabelledImages, fraction: float, seed: int, option: str
) -> tuple[LabelledImages, LabelledImages]:
    """What is left of `training`, and the `fraction` of it that `seed` keeps apart, both in their stored order.

    Raises:
        UserError: if nothing is left; it names `option`.
    """
    images, labels = training
    num_apart = round(fraction * len(images))
    if num_apart == 0:
        return training, (images[:0], labels[:0])
    if num_apart == len(images):
        raise UserError(f"{option} {fraction} of {num_apart} images leaves none to train on: use a smaller one")
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    apart, left = order[:num_apart].sort().values, order[num_apart:].sort().values
    return (images[left], labels[left]), (images[apart], labels[apart])
