"""Images: MNIST and its like, CIFAR-10, and any folder or .zip."""

from datamodules.images.cifar10 import CIFAR10
from datamodules.images.digits import Digits
from datamodules.images.folder import ImageFolder
from datamodules.images.mnist import MNIST, FashionMNIST
from datamodules.images.stacked_mnist import StackedMNIST

__all__ = ["CIFAR10", "MNIST", "Digits", "FashionMNIST", "ImageFolder", "StackedMNIST"]
