"""Image classifiers: report 5's dense and convolutional networks, for any depth and image size."""

import math
from typing import Literal

from torch import Tensor, nn

from lab.errors import UserError
from lightning_models.modules.checks import check_at_least_one, check_choice, check_share
from lightning_models.networks.conv import check_channels
from lightning_models.networks.interfaces import Classifier, ImageShape
from lightning_models.networks.layers import (
    Activation,
    Initialization,
    Normalization,
    initialize,
    named_activation,
    normalization_layer,
)

Pooling = Literal["flatten", "average"]


class MLPClassifier(Classifier):
    """Pixels -> hidden layers -> logits; without hidden layers it is logistic regression (report 5, part 1)."""

    def __init__(
        self,
        image_shape: ImageShape,
        num_classes: int,
        hidden_dims: tuple[int, ...] = (200, 100),
        activation: Activation = "relu",
        dropout: float = 0.0,
        initialization: Initialization = "glorot",
    ) -> None:
        """Build the network; by default it has 178,110 parameters for 28 x 28 pixels and ten classes.

        Args:
            image_shape: Channels, height and width of an image.
            num_classes: Number of classes.
            hidden_dims: Units of each hidden layer, first to last; empty for a linear model.
            activation: Nonlinearity of the hidden layers.
            dropout: Probability with which a hidden unit is zeroed in training, from 0 to below 1.
            initialization: Initial weights: PyTorch's, DCGAN's N(0, 0.02), Glorot uniform as in Keras, or He normal.

        Raises:
            UserError: For a layer without units, or an option out of its range.
        """
        check_widths("hidden_dims", hidden_dims)
        num_pixels = math.prod(image_shape)
        super().__init__(image_shape, num_classes, hidden_dims[-1] if hidden_dims else num_pixels)
        self.layers = nn.Sequential(nn.Flatten(), *dense_layers(num_pixels, hidden_dims, activation, dropout))
        initialize(self, initialization)

    def features(self, images: Tensor) -> Tensor:
        features: Tensor = self.layers(images)
        return features


class CNNClassifier(Classifier):
    """Stages of convolutions with 2 x 2 max pooling, then hidden layers and logits (report 5, part 1)."""

    def __init__(
        self,
        image_shape: ImageShape,
        num_classes: int,
        channels: tuple[int, ...] = (20, 10),
        kernel_sizes: tuple[int, ...] = (5, 3),
        convolutions: int = 1,
        hidden_dims: tuple[int, ...] = (),
        activation: Activation = "relu",
        normalization: Normalization = "none",
        pooling: Pooling = "flatten",
        dropout: float = 0.0,
        initialization: Initialization = "glorot",
    ) -> None:
        """Build the network; by default it has 7,240 parameters for 28 x 28 pixels and ten classes.

        Args:
            image_shape: Channels, height and width of an image; each stage halves them, rounding down.
            num_classes: Number of classes.
            channels: Channels of each stage.
            kernel_sizes: Kernel size of each stage's convolutions, odd; the last one is repeated for further stages.
            convolutions: Number of convolutions in a stage.
            hidden_dims: Units of each dense hidden layer after the stages.
            activation: Nonlinearity after each convolution and each hidden layer.
            normalization: Normalization after each convolution (layer: GroupNorm with one group).
            pooling: Input of the dense layers: the whole last map (flatten), or the mean of each channel (average).
            dropout: Probability with which a value is zeroed in training before each dense layer, from 0 to below 1.
            initialization: Initial weights: PyTorch's, DCGAN's N(0, 0.02), Glorot uniform as in Keras, or He normal.

        Raises:
            UserError: For a layer without units, an image too small for the stages, or an option out of its range.
        """
        check_channels(channels)
        check_widths("hidden_dims", hidden_dims)
        check_at_least_one("convolutions", [convolutions])
        check_choice("pooling", pooling, Pooling)
        kernels = kernels_of_stages(kernel_sizes, len(channels))
        inputs, height, width = image_shape
        if min(height, width) < 2 ** len(channels):
            raise UserError(
                f"image size {height} x {width} cannot be halved {len(channels)} times: give fewer channels"
            )
        layers: list[nn.Module] = []
        has_bias = normalization == "none"  # a normalization layer has one of its own
        for outputs, kernel_size in zip(channels, kernels, strict=True):
            for _ in range(convolutions):
                layers.append(nn.Conv2d(inputs, outputs, kernel_size, padding=kernel_size // 2, bias=has_bias))
                layers.append(normalization_layer(normalization, outputs, (height, width)))
                layers.append(named_activation(activation))
                inputs = outputs
            layers.append(nn.MaxPool2d(2))
            height, width = height // 2, width // 2
        if pooling == "average":
            layers.append(nn.AdaptiveAvgPool2d(1))
            height, width = 1, 1
        layers.append(nn.Flatten())
        flat = inputs * height * width
        super().__init__(image_shape, num_classes, hidden_dims[-1] if hidden_dims else flat)
        if dropout:
            layers.append(nn.Dropout(dropout))
        layers += dense_layers(flat, hidden_dims, activation, dropout)
        self.layers = nn.Sequential(*layers)
        initialize(self, initialization)

    def features(self, images: Tensor) -> Tensor:
        features: Tensor = self.layers(images)
        return features


def kernels_of_stages(kernel_sizes: tuple[int, ...], stages: int) -> list[int]:
    """The kernel size of each stage: as given, and the last one for further stages.

    Raises:
        UserError: for an even size, none at all, or more than there are stages.
    """
    kernels = [*kernel_sizes, *[kernel_sizes[-1]] * (stages - len(kernel_sizes))] if kernel_sizes else []
    if len(kernels) != stages or any(size < 1 or size % 2 == 0 for size in kernels):
        raise UserError(
            f"kernel_sizes is {list(kernel_sizes)}: use odd numbers, at most one for each of {stages} stages"
        )
    return kernels


def dense_layers(inputs: int, widths: tuple[int, ...], activation: Activation, dropout: float) -> list[nn.Module]:
    """Hidden layers, each with its activation and dropout."""
    check_share("dropout", dropout)
    layers: list[nn.Module] = []
    for units in widths:
        layers += [nn.Linear(inputs, units), named_activation(activation)]
        if dropout:
            layers.append(nn.Dropout(dropout))
        inputs = units
    return layers


def check_widths(option: str, widths: tuple[int, ...]) -> None:
    """Raise UserError for a layer without units: such a network would train without an error, to a constant."""
    for layer, units in enumerate(widths, start=1):
        if units < 1:
            raise UserError(
                f"{option} is {list(widths)}: hidden layer {layer} has {units} units, so the output would not "
                "depend on the image; use at least 1, or leave the layer out"
            )
