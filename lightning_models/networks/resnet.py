"""The residual networks of WGAN-GP and SNGAN (Gulrajani et al. 2017; Miyato et al. 2018, tables 4 and 5)."""

from itertools import pairwise

from torch import Tensor, nn

from lab.errors import UserError
from lightning_models.modules.checks import check_at_least_one
from lightning_models.networks.attention import SelfAttention
from lightning_models.networks.conditioning import Conditioning, LabelledSequential
from lightning_models.networks.interfaces import Discriminator, Generator, ImageShape
from lightning_models.networks.layers import (
    Initialization,
    Normalization,
    Output,
    add_spectral_norm,
    initialize,
    normalization_layer,
    output_layer,
)

GENERATORS = {32: (256, 256, 256, 256), 48: (512, 256, 128, 64), 64: (1024, 512, 256, 128, 64)}  # by the smaller side
DISCRIMINATORS = {32: (128, 128, 128, 128), 48: (64, 128, 256, 512, 1024), 64: (64, 128, 256, 512, 1024)}
HALVINGS = {32: 2, 48: 4, 64: 5}


class UpBlock(nn.Module):
    """Normalize, ReLU, double the map, convolve; normalize, ReLU, convolve; beside it a doubled 1 x 1 convolution."""

    looks_at_labels = True

    def __init__(
        self, inputs: int, outputs: int, size: tuple[int, int], normalization: Normalization, num_classes: int
    ) -> None:
        super().__init__()
        double = (2 * size[0], 2 * size[1])
        self.residual = LabelledSequential(
            normalization_layer(normalization, inputs, size, num_classes=num_classes),
            nn.ReLU(),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(inputs, outputs, 3, padding=1),
            normalization_layer(normalization, outputs, double, num_classes=num_classes),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1),
        )
        self.shortcut = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(inputs, outputs, 1))

    def forward(self, maps: Tensor, labels: Tensor | None = None) -> Tensor:
        """Maps (batch, outputs, 2 height, 2 width) of `maps` (batch, inputs, height, width)."""
        found: Tensor = self.residual(maps, labels) + self.shortcut(maps)
        return found


class DownBlock(nn.Module):
    """ReLU, convolve, ReLU, convolve and perhaps halve the map; beside it a 1 x 1 convolution where something changes.

    The `first` block of a discriminator has no ReLU before its first convolution.
    """

    def __init__(self, inputs: int, outputs: int, halves: bool, first: bool = False) -> None:
        super().__init__()
        half = [nn.AvgPool2d(2)] if halves else []
        begin = [] if first else [nn.ReLU()]
        self.residual = nn.Sequential(
            *begin,
            nn.Conv2d(inputs, outputs, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1),
            *half,
        )
        resized = [nn.Conv2d(inputs, outputs, 1)] if halves or inputs != outputs else []
        self.shortcut = nn.Sequential(*(half + resized if first else resized + half))

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (batch, outputs, ...) of `maps` (batch, inputs, height, width), half as high and wide if it halves."""
        found: Tensor = self.residual(maps) + self.shortcut(maps)
        return found


class GlobalSum(nn.Module):
    """The sum of each channel over all pixels."""

    def forward(self, maps: Tensor) -> Tensor:
        """(batch, channels) of `maps` (batch, channels, height, width)."""
        return maps.sum(dim=(2, 3))


class ResNetGenerator(Generator):
    """Latent vector -> linear -> base map -> residual blocks that double it -> 3 x 3 convolution to the image."""

    def __init__(
        self,
        latent_dim: int,
        image_shape: ImageShape,
        channels: tuple[int, ...] | None = None,
        normalization: Normalization = "batch",
        attention: int | None = None,
        output: Output = "tanh",
        initialization: Initialization = "glorot",
        num_classes: int = 0,
        conditioning: Conditioning = "batch_norm",
    ) -> None:
        """Build the network.

        Args:
            latent_dim: Length of a latent vector.
            image_shape: Channels, height and width of an image.
            channels: Channels of the base map, then of the map after each block, which doubles it; null: SNGAN's, known
                where the smaller side is 32, 48 or 64.
            normalization: Normalization before each ReLU (layer: GroupNorm with one group).
            attention: Smaller side of the map that self-attention follows, such as 32 (SAGAN); null: none.
            output: Last nonlinearity: tanh for images in [-1, 1], sigmoid for images in [0, 1], none for logits.
            initialization: Initial weights: PyTorch's, DCGAN's N(0, 0.02), or Glorot uniform.
            num_classes: Number of classes, set by model.conditional; 0: unconditional.
            conditioning: Where a class enters a conditional network: as an embedding behind the latent vector, or as
                gain and shift of each BatchNorm.
        """
        super().__init__(latent_dim, image_shape, output, num_classes, conditioning)
        widths = known_channels(image_shape, GENERATORS) if channels is None else channels
        check_at_least_one("channels", widths)
        rows, columns = halved(image_shape, len(widths) - 1)
        layers: list[nn.Module] = [nn.Linear(self.input_dim, widths[0] * rows * columns)]
        layers.append(nn.Unflatten(1, (widths[0], rows, columns)))
        sides = [min(rows, columns)]
        for inputs, outputs in pairwise(widths):
            layers.append(UpBlock(inputs, outputs, (rows, columns), normalization, self.classes_of_norms))
            rows, columns = 2 * rows, 2 * columns
            sides.append(min(rows, columns))
            if sides[-1] == attention:
                layers.append(SelfAttention(outputs))
        check_attention(attention, sides[1:])
        layers.append(
            normalization_layer(normalization, widths[-1], (rows, columns), num_classes=self.classes_of_norms)
        )
        layers += [nn.ReLU(), nn.Conv2d(widths[-1], image_shape[0], 3, padding=1), output_layer(output)]
        self.layers = LabelledSequential(*layers)
        initialize(self, initialization)

    def forward(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images (batch, channels, height, width) in `output_range` of `latent` (batch, latent_dim)."""
        images: Tensor = self.layers(self.joined(latent, labels), labels)
        return images


class ResNetDiscriminator(Discriminator):
    """Image -> residual blocks, of which the first ones halve the map -> ReLU -> sum over all pixels -> linear."""

    def __init__(
        self,
        image_shape: ImageShape,
        out_features: int = 1,
        channels: tuple[int, ...] | None = None,
        halvings: int | None = None,
        attention: int | None = None,
        spectral_norm: bool = False,
        initialization: Initialization = "glorot",
        num_classes: int = 0,
    ) -> None:
        """Build the network; it has no normalization but the spectral one, so every penalty fits it.

        Args:
            image_shape: Channels, height and width of an image.
            out_features: Number of outputs per image.
            channels: Channels of the map after each block; null: SNGAN's, known where the smaller side is 32, 48 or 64.
            halvings: Number of blocks, from the first on, that halve the map; null: SNGAN's, or all of given channels.
            attention: Smaller side of the map that self-attention follows, such as 32 (SAGAN); null: none.
            spectral_norm: Divide each layer's weight by its largest singular value.
            initialization: Initial weights: PyTorch's, DCGAN's N(0, 0.02), or Glorot uniform.
            num_classes: Number of classes, set by model.conditional, which enter at the last layer; 0: unconditional.
        """
        super().__init__(image_shape, out_features, num_classes)
        widths = known_channels(image_shape, DISCRIMINATORS) if channels is None else channels
        check_at_least_one("channels", widths)
        if halvings is None:
            halvings = HALVINGS[min(image_shape[1:])] if channels is None else len(widths)
        if not 0 <= halvings <= len(widths):
            raise UserError(f"halvings is {halvings}: expected a number from 0 to the {len(widths)} of channels")
        halved(image_shape, halvings)
        layers: list[nn.Module] = []
        side, sides, features = min(image_shape[1:]), [], image_shape[0]
        for number, outputs in enumerate(widths):
            layers.append(DownBlock(features, outputs, halves=number < halvings, first=number == 0))
            side, features = side // 2 if number < halvings else side, outputs
            if side == attention and side not in sides:
                layers.append(SelfAttention(outputs))
            sides.append(side)
        check_attention(attention, sides)
        layers += [nn.ReLU(), GlobalSum(), nn.Linear(features, out_features)]
        self.layers = nn.Sequential(*layers)
        self.add_class_part(features)
        initialize(self, initialization)
        if spectral_norm:
            add_spectral_norm(self)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits (batch, out_features) of images (batch, channels, height, width)."""
        return self.logits(images, labels)


def known_channels(image_shape: ImageShape, known: dict[int, tuple[int, ...]]) -> tuple[int, ...]:
    """SNGAN's channels for the smaller side of an image.

    Raises:
        UserError: for a size that the papers have no network for.
    """
    _, height, width = image_shape
    if (side := min(height, width)) not in known:
        raise UserError(
            f"the papers have no ResNet for images of {height} x {width}, only for a smaller side of "
            f"{', '.join(map(str, known))}: give channels, such as [256, 256, 256], or resize the images"
        )
    return known[side]


def halved(image_shape: ImageShape, times: int) -> tuple[int, int]:
    """Height and width of the smallest map.

    Raises:
        UserError: if one of them cannot be halved so often.
    """
    _, height, width = image_shape
    for name, size in (("height", height), ("width", width)):
        if size % 2**times:
            raise UserError(
                f"the {name} of images of {height} x {width} cannot be halved {times} times: use a multiple of "
                f"{2**times}, or fewer channels"
            )
    return height // 2**times, width // 2**times


def check_attention(asked: int | None, sides: list[int]) -> None:
    """Raise UserError if self-attention is to follow a map that there is not."""
    if asked is not None and asked not in sides:
        maps = ", ".join(map(str, dict.fromkeys(sides)))
        raise UserError(f"attention is {asked}, but the smaller sides of the maps are {maps}: use one of them")
