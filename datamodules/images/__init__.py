"""Images: MNIST and its like, CIFAR-10, and any folder or .zip."""

from datamodules.images.data_sets import CIFAR10, MNIST, Digits, FashionMNIST, ImageFolder
from datamodules.images.stacked_mnist import StackedMNIST

__all__ = ["CIFAR10", "MNIST", "Digits", "FashionMNIST", "ImageFolder", "StackedMNIST"]
