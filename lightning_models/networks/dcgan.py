"""DCGAN's convolutional networks (Radford et al. 2016), for all image sizes that can be halved."""

import math
from itertools import pairwise

from torch import Tensor, nn

from lab.errors import UserError
from lightning_models.modules.checks import check_at_least_one
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


class DCGANGenerator(Generator):
    """Latent vector -> base map -> image, with transposed convolutions only (report 1: 64 x 64 faces)."""

    def __init__(
        self,
        latent_dim: int,
        image_shape: ImageShape,
        width: int = 128,
        max_width: int = 1024,
        stages: int | None = None,
        normalization: Normalization = "batch",
        output: Output = "tanh",
        initialization: Initialization = "dcgan",
        num_classes: int = 0,
        conditioning: Conditioning = "embedding",
    ) -> None:
        """Build the network; the number of stages follows from the image size, see `plan_stages`.

        Args:
            latent_dim: Length of a latent vector.
            image_shape: Channels, height and width of an image.
            width: Channels of the last hidden map; each map before it has twice as many.
            max_width: Upper limit of the number of channels.
            stages: Number of times the map is doubled; null: as many as start from at least 4 rows and columns.
            normalization: Normalization after each hidden convolution (layer: GroupNorm with one group).
            output: Last nonlinearity: tanh for images in [-1, 1], sigmoid for images in [0, 1], none for logits.
            initialization: Initial weights: PyTorch's, DCGAN's N(0, 0.02), or Glorot uniform as in Keras.
            num_classes: Number of classes, set by model.conditional; 0: unconditional.
            conditioning: Where a class enters a conditional network: as an embedding behind the latent vector, or as
                gain and shift of each BatchNorm.
        """
        super().__init__(latent_dim, image_shape, output, num_classes, conditioning)
        widths, base_map = plan_stages(image_shape, width, max_width, stages)
        widths.reverse()
        rows, columns = base_map

        def hidden(convolution: nn.ConvTranspose2d) -> list[nn.Module]:
            normalized = normalization_layer(
                normalization, convolution.out_channels, (rows, columns), num_classes=self.classes_of_norms
            )
            return [convolution, normalized, activation_layer(leaky_slope=0.0)]

        layers: list[nn.Module] = [nn.Unflatten(1, (self.input_dim, 1, 1))]
        layers += hidden(nn.ConvTranspose2d(self.input_dim, widths[0], base_map))  # 1 x 1 => the whole base map
        for inputs, outputs in pairwise(widths):
            rows, columns = 2 * rows, 2 * columns
            layers += hidden(nn.ConvTranspose2d(inputs, outputs, kernel_size=4, stride=2, padding=1))
        layers.append(nn.ConvTranspose2d(widths[-1], image_shape[0], kernel_size=4, stride=2, padding=1))
        layers.append(output_layer(output))
        self.layers = LabelledSequential(*layers)
        initialize(self, initialization)

    def forward(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images (batch, channels, height, width) in `output_range` of `latent` (batch, latent_dim)."""
        images: Tensor = self.layers(self.joined(latent, labels), labels)
        return images


class DCGANDiscriminator(Discriminator):
    """Image -> base map -> logit, with strided convolutions only; the first layer is never normalized (report 1)."""

    def __init__(
        self,
        image_shape: ImageShape,
        out_features: int = 1,
        width: int = 128,
        max_width: int = 1024,
        stages: int | None = None,
        leaky_slope: float = 0.2,
        normalization: Normalization = "batch",
        spectral_norm: bool = False,
        initialization: Initialization = "dcgan",
        num_classes: int = 0,
    ) -> None:
        """Build the network; the number of stages follows from the image size, see `plan_stages`.

        Args:
            image_shape: Channels, height and width of an image.
            out_features: Number of outputs per image.
            width: Channels of the first hidden map; each map after it has twice as many.
            max_width: Upper limit of the number of channels.
            stages: Number of times the map is halved; null: as many as leave at least 4 rows and columns.
            leaky_slope: Slope of LeakyReLU below zero; 0 is ReLU.
            normalization: Normalization after each hidden convolution but the first (layer: GroupNorm with one group).
            spectral_norm: Divide each convolution's weight by its largest singular value.
            initialization: Initial weights: PyTorch's, DCGAN's N(0, 0.02), or Glorot uniform as in Keras.
            num_classes: Number of classes, set by model.conditional, which enter at the last layer; 0: unconditional.
        """
        super().__init__(image_shape, out_features, num_classes)
        widths, base_map = plan_stages(image_shape, width, max_width, stages)

        layers: list[nn.Module] = []
        _, rows, columns = image_shape
        for stage, (inputs, outputs) in enumerate(pairwise([image_shape[0], *widths])):
            rows, columns = rows // 2, columns // 2
            layers.append(nn.Conv2d(inputs, outputs, kernel_size=4, stride=2, padding=1))
            if stage > 0:  # BatchNorm on the first layer makes training unstable (section 3 of the paper)
                layers.append(normalization_layer(normalization, outputs, (rows, columns)))
            layers.append(activation_layer(leaky_slope))
        layers += [nn.Conv2d(widths[-1], out_features, base_map), nn.Flatten()]  # the whole map => 1 x 1
        self.layers = nn.Sequential(*layers)
        self.add_class_part(widths[-1] * math.prod(base_map))
        initialize(self, initialization)
        if spectral_norm:
            add_spectral_norm(self)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits (batch, out_features) of images (batch, channels, height, width)."""
        return self.logits(images, labels, head=2)  # the convolution over the whole map, and Flatten


def plan_stages(
    image_shape: ImageShape, width: int, max_width: int, stages: int | None = None
) -> tuple[list[int], tuple[int, int]]:
    """Channels of D's hidden maps, first to last, and height and width of the last map; G has the same in reverse.

    By default the image is halved as long as the result is a whole number of at least 4 rows and columns: 64 => 4 in 4
    stages, 28 => 7 in 2.

    Raises:
        UserError: If the image cannot be halved once, or not `stages` times.
    """
    check_at_least_one("width", [width])
    check_at_least_one("max_width", [max_width])
    _, rows, columns = image_shape
    if stages is None:
        stages = 0
        while divides(2 ** (stages + 1), rows, columns) and min(rows, columns) >= 4 * 2 ** (stages + 1):
            stages += 1
        if stages == 0:
            raise UserError(
                f"image size {rows} x {columns} cannot be halved to a map of at least 4 x 4: "
                "resize the images to an even size of 8 or more (28, 32, 64, ...), or use the MLP networks"
            )
    check_at_least_one("stages", [stages])
    if not divides(2**stages, rows, columns):
        raise UserError(
            f"image size {rows} x {columns} cannot be halved {stages} times: "
            f"use a multiple of {2**stages}, or fewer stages"
        )
    widths = [min(width * 2**stage, max_width) for stage in range(stages)]
    return widths, (rows // 2**stages, columns // 2**stages)


def divides(factor: int, rows: int, columns: int) -> bool:
    """Whether both sizes are multiples of `factor`."""
    return rows % factor == 0 and columns % factor == 0
