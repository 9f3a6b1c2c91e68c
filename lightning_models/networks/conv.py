"""Convolutional networks with a linear layer at the latent end: the Keras networks of reports 2, 4 and 5.

The hidden layers are stages of stride 2, which halve the map in D and double it in G, and 3 x 3 convolutions of stride
1 for whatever `hidden_layers` asks for beyond the stages; these are on the smallest map, where they are cheap. Report
4's sweep over 3 to 6 hidden layers is thus a single option. It starts from three stages at 32 x 32 (32 => 16 => 8 => 4)
and from two at 28 x 28 (28 => 14 => 7, which cannot be halved), where three hidden layers are two stages and one
convolution of stride 1.
"""

import math
from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from lab.errors import UserError
from lightning_models.modules.checks import check_at_least_one, check_choice, check_odd
from lightning_models.networks.conditioning import Conditioning, LabelledSequential
from lightning_models.networks.interfaces import Discriminator, Generator, ImageShape
from lightning_models.networks.layers import (
    Initialization,
    Normalization,
    Output,
    activation_layer,
    add_spectral_norm,
    initialize,
    normalization_layer,
    output_layer,
)
from lightning_models.networks.upsampling import UpsampleConv2d

Upsampling = Literal["transposed", "nearest"]


class ConvGenerator(Generator):
    """Latent vector -> linear -> base map -> stages that double it -> convolution to the image (report 2)."""

    def __init__(
        self,
        latent_dim: int,
        image_shape: ImageShape,
        channels: tuple[int, ...] = (128, 128, 128),
        hidden_layers: int | None = None,
        upsampling: Upsampling = "transposed",
        kernel_size: int = 4,
        output_kernel_size: int = 7,
        leaky_slope: float = 0.2,
        normalization: Normalization = "none",
        batch_norm_momentum: float = 0.1,
        batch_norm_eps: float = 1e-5,
        output: Output = "sigmoid",
        initialization: Initialization = "glorot",
        num_classes: int = 0,
        conditioning: Conditioning = "embedding",
    ) -> None:
        """Build the network.

        Args:
            latent_dim: Length of a latent vector.
            image_shape: Channels, height and width of an image; the sizes must be divisible by 2 once per stage.
            channels: Channels of the base map, then of the map after each stage.
            hidden_layers: Number of convolutions between base map and output; null: the stages alone. Those beyond the
                stages are 3 x 3 with stride 1, on the base map.
            upsampling: How a stage doubles the map: a transposed convolution of stride 2, or nearest-neighbour
                upsampling and a convolution.
            kernel_size: Kernel size of a stage; odd for nearest.
            output_kernel_size: Kernel size of the last convolution; odd.
            leaky_slope: Slope of LeakyReLU below zero; 0 is ReLU.
            normalization: Normalization after each hidden convolution (layer: GroupNorm with one group).
            batch_norm_momentum: Weight of the new batch in the running statistics (Keras: 1 - momentum).
            batch_norm_eps: Constant that BatchNorm adds to the variance (Keras: 1e-3).
            output: Last nonlinearity: tanh for images in [-1, 1], sigmoid for images in [0, 1], none for logits.
            initialization: Initial weights: PyTorch's, DCGAN's N(0, 0.02), or Glorot uniform as in Keras.
            num_classes: Number of classes, set by model.conditional; 0: unconditional.
            conditioning: Where a class enters a conditional network: as an embedding behind the latent vector, or as
                gain and shift of each BatchNorm.
        """
        super().__init__(latent_dim, image_shape, output, num_classes, conditioning)
        check_choice("upsampling", upsampling, Upsampling)
        check_channels(channels)
        check_odd("output_kernel_size", output_kernel_size)
        stages = len(channels) - 1
        height, width = divide_size(image_shape, stages)
        base_map = (channels[0], height, width)

        def hidden(convolution: nn.Conv2d | nn.ConvTranspose2d) -> list[nn.Module]:
            features, size = convolution.out_channels, (height, width)
            normalized = normalization_layer(
                normalization, features, size, batch_norm_momentum, batch_norm_eps, self.classes_of_norms
            )
            return [convolution, normalized, activation_layer(leaky_slope)]

        layers: list[nn.Module] = [nn.Linear(self.input_dim, math.prod(base_map)), activation_layer(leaky_slope)]
        layers.append(nn.Unflatten(1, base_map))
        for _ in range(count_extra_layers(hidden_layers, stages)):
            layers += hidden(nn.Conv2d(channels[0], channels[0], kernel_size=3, padding=1))
        for inputs, outputs in pairwise(channels):
            height, width = 2 * height, 2 * width
            layers += hidden(doubling_convolution(inputs, outputs, kernel_size, upsampling))
        padding = (output_kernel_size - 1) // 2
        layers.append(nn.Conv2d(channels[-1], image_shape[0], output_kernel_size, padding=padding))
        layers.append(output_layer(output))
        self.layers = LabelledSequential(*layers)
        initialize(self, initialization)

    def forward(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images (batch, channels, height, width) in `output_range` of `latent` (batch, latent_dim)."""
        images: Tensor = self.layers(self.joined(latent, labels), labels)
        return images


class ConvDiscriminator(Discriminator):
    """Image -> stages that halve the map -> flatten -> linear -> logit (report 2)."""

    def __init__(
        self,
        image_shape: ImageShape,
        out_features: int = 1,
        channels: tuple[int, ...] = (64, 64),
        hidden_layers: int | None = None,
        kernel_size: int = 3,
        leaky_slope: float = 0.2,
        normalization: Normalization = "none",
        dropout: float = 0.4,
        flatten_dropout: float = 0.0,
        spectral_norm: bool = False,
        initialization: Initialization = "glorot",
        num_classes: int = 0,
    ) -> None:
        """Build the network.

        Args:
            image_shape: Channels, height and width of an image; odd sizes are rounded up when halved, as in Keras.
            out_features: Number of outputs per image.
            channels: Channels of the map after each stage.
            hidden_layers: Number of convolutions before the linear layer; null: the stages alone. Those beyond the
                stages are 3 x 3 with stride 1, on the last map.
            kernel_size: Kernel size of a stage; odd.
            leaky_slope: Slope of LeakyReLU below zero; 0 is ReLU.
            normalization: Normalization after each convolution, including the first (layer: GroupNorm with one group).
            dropout: Probability with which a value is zeroed in training after each convolution's activation.
            flatten_dropout: Probability with which a value is zeroed in training before the linear layer.
            spectral_norm: Divide each layer's weight by its largest singular value.
            initialization: Initial weights: PyTorch's, DCGAN's N(0, 0.02), or Glorot uniform as in Keras.
            num_classes: Number of classes, set by model.conditional, which enter at the last layer; 0: unconditional.
        """
        super().__init__(image_shape, out_features, num_classes)
        check_channels(channels)
        check_odd("kernel_size", kernel_size)

        def hidden(convolution: nn.Conv2d) -> list[nn.Module]:
            normalized = normalization_layer(normalization, convolution.out_channels, (height, width))
            return [convolution, normalized, activation_layer(leaky_slope), nn.Dropout(dropout)]

        layers: list[nn.Module] = []
        features, height, width = image_shape
        for outputs in channels:
            height, width = (height + 1) // 2, (width + 1) // 2
            layers += hidden(nn.Conv2d(features, outputs, kernel_size, stride=2, padding=kernel_size // 2))
            features = outputs
        for _ in range(count_extra_layers(hidden_layers, len(channels))):
            layers += hidden(nn.Conv2d(features, features, kernel_size=3, padding=1))
        layers += [nn.Flatten(), nn.Dropout(flatten_dropout)]
        layers.append(nn.Linear(features * height * width, out_features))
        self.layers = nn.Sequential(*layers)
        self.add_class_part(features * height * width)
        initialize(self, initialization)
        if spectral_norm:
            add_spectral_norm(self)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits (batch, out_features) of images (batch, channels, height, width)."""
        return self.logits(images, labels)


def doubling_convolution(
    inputs: int, outputs: int, kernel_size: int, upsampling: Upsampling
) -> nn.Conv2d | nn.ConvTranspose2d:
    """A convolution from `inputs` to `outputs` channels that doubles height and width exactly."""
    if upsampling == "nearest":
        return UpsampleConv2d(inputs, outputs, kernel_size)
    padding, last_row = (kernel_size - 1) // 2, kernel_size % 2  # which an odd kernel needs
    return nn.ConvTranspose2d(inputs, outputs, kernel_size, stride=2, padding=padding, output_padding=last_row)


def divide_size(image_shape: ImageShape, stages: int) -> tuple[int, int]:
    """Height and width of the map from which `stages` doublings lead to the image size.

    Raises:
        UserError: If these are not whole numbers.
    """
    _, height, width = image_shape
    factor = 2**stages
    if height % factor or width % factor:
        size = height if height == width else f"{height} x {width}"
        raise UserError(
            f"image size {size} cannot be halved {stages} times: use a multiple of {factor}, or fewer stages "
            f"(channels has {stages + 1} entries: the base map's and one per stage)"
        )
    return height // factor, width // factor


def count_extra_layers(hidden_layers: int | None, stages: int) -> int:
    """Number of hidden layers beyond the stages."""
    if hidden_layers is None:
        return 0
    if hidden_layers < stages:
        raise UserError(
            f"hidden_layers is {hidden_layers}, but channels asks for {stages} stages: "
            f"use at least {stages} hidden layers, or fewer channels"
        )
    return hidden_layers - stages


def check_channels(channels: tuple[int, ...]) -> None:
    """Raise UserError if there are no channels, or a number of channels below 1."""
    if not channels:
        raise UserError("channels is empty: give the number of channels of at least one map")
    check_at_least_one("channels", channels)
