"""What a GAN (and a VAE) may rely on in any generator or discriminator."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from lightning_models.modules.checks import check_at_least_one, check_choice
from lightning_models.networks.layers import OUTPUT_RANGES, Output

ImageShape = tuple[int, int, int]  # channels, height, width


class Generator(nn.Module, ABC):
    """Turns latent vectors into images; a VAE's decoder.

    Subclasses take `latent_dim` and `image_shape` first, because these two follow from the model and its data.
    """

    def __init__(self, latent_dim: int, image_shape: ImageShape, output: Output) -> None:
        super().__init__()
        check_at_least_one("latent_dim", [latent_dim])
        check_at_least_one("image_shape", image_shape)
        check_choice("output", output, Output)
        self.latent_dim = latent_dim
        self.image_shape = image_shape
        self.output_range = OUTPUT_RANGES[output]  # a GAN's data must be scaled to it

    @abstractmethod
    def forward(self, latent: Tensor) -> Tensor:
        """Images (batch, channels, height, width) in `output_range` of `latent` (batch, latent_dim)."""


class Discriminator(nn.Module, ABC):
    """Judges images; with `out_features` = 2 * latent_dim, a VAE's encoder.

    Subclasses take `image_shape` first, because it follows from the data.
    """

    def __init__(self, image_shape: ImageShape, out_features: int) -> None:
        super().__init__()
        check_at_least_one("image_shape", image_shape)
        check_at_least_one("out_features", [out_features])
        self.image_shape = image_shape
        self.out_features = out_features

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Logits (batch, out_features), any real number, of images (batch, channels, height, width)."""


class Classifier(nn.Module, ABC):
    """Tells classes of images apart: features, and a linear layer on them.

    Subclasses take `image_shape` and `num_classes` first, because these follow from the data.
    """

    def __init__(self, image_shape: ImageShape, num_classes: int, num_features: int) -> None:
        super().__init__()
        check_at_least_one("image_shape", image_shape)
        check_at_least_one("num_classes", [num_classes])
        self.image_shape, self.num_classes, self.num_features = image_shape, num_classes, num_features
        self.head = nn.Linear(num_features, num_classes)

    @abstractmethod
    def features(self, images: Tensor) -> Tensor:
        """What the last layer decides by, (batch, num_features), of images (batch, channels, height, width)."""

    def forward(self, images: Tensor) -> Tensor:
        """Logits (batch, num_classes) of images (batch, channels, height, width)."""
        logits: Tensor = self.head(self.features(images))
        return logits
