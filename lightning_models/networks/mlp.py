"""Fully connected networks for any image size; by default those of report 3."""

import math

from torch import Tensor, nn

from lightning_models.modules.checks import check_at_least_one
from lightning_models.networks.conditioning import ConditionalBatchNorm, Conditioning, LabelledSequential
from lightning_models.networks.interfaces import Discriminator, Generator, ImageShape
from lightning_models.networks.layers import (
    Initialization,
    Output,
    activation_layer,
    add_spectral_norm,
    check_conditional_norm,
    initialize,
    output_layer,
)


class MLPGenerator(Generator):
    """Latent vector -> hidden layers -> pixels."""

    def __init__(
        self,
        latent_dim: int,
        image_shape: ImageShape,
        hidden_dims: tuple[int, ...] = (128, 256, 512, 1024),
        batch_norm: bool = True,
        leaky_slope: float = 0.2,
        output: Output = "tanh",
        initialization: Initialization = "torch",
        num_classes: int = 0,
        conditioning: Conditioning = "embedding",
    ) -> None:
        """Build the network.

        Args:
            latent_dim: Length of a latent vector.
            image_shape: Channels, height and width of an image.
            hidden_dims: Units of each hidden layer, first to last.
            batch_norm: Use BatchNorm in all hidden layers except the first.
            leaky_slope: Slope of LeakyReLU below zero; 0 is ReLU.
            output: Last nonlinearity: tanh for images in [-1, 1], sigmoid for images in [0, 1], none for logits.
            initialization: Initial weights: PyTorch's, DCGAN's N(0, 0.02), or Glorot uniform as in Keras.
            num_classes: Number of classes, set by model.conditional; 0: unconditional.
            conditioning: Where a class enters a conditional network: as an embedding behind the latent vector, or as
                gain and shift of each BatchNorm.
        """
        super().__init__(latent_dim, image_shape, output, num_classes, conditioning)
        check_at_least_one("hidden_dims", hidden_dims)
        if self.classes_of_norms:
            check_conditional_norm(batch_norm and len(hidden_dims) > 1, "batch_norm false, or one hidden layer")

        layers: list[nn.Module] = []
        features = self.input_dim
        for layer, units in enumerate(hidden_dims):
            layers.append(nn.Linear(features, units))
            if batch_norm and layer > 0:
                layers.append(batch_norm_layer(units, self.classes_of_norms))
            layers.append(activation_layer(leaky_slope))
            features = units
        layers += [nn.Linear(features, math.prod(image_shape)), output_layer(output)]
        layers.append(nn.Unflatten(1, image_shape))
        self.layers = LabelledSequential(*layers)
        initialize(self, initialization)

    def forward(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images (batch, channels, height, width) in `output_range` of `latent` (batch, latent_dim)."""
        images: Tensor = self.layers(self.joined(latent, labels), labels)
        return images


class MLPDiscriminator(Discriminator):
    """Pixels -> hidden layers -> logit; without hidden layers it is linear."""

    def __init__(
        self,
        image_shape: ImageShape,
        out_features: int = 1,
        hidden_dims: tuple[int, ...] = (512, 256),
        leaky_slope: float = 0.2,
        spectral_norm: bool = False,
        initialization: Initialization = "torch",
        num_classes: int = 0,
    ) -> None:
        """Build the network.

        Args:
            image_shape: Channels, height and width of an image.
            out_features: Number of outputs per image.
            hidden_dims: Units of each hidden layer, first to last.
            leaky_slope: Slope of LeakyReLU below zero; 0 is ReLU.
            spectral_norm: Divide each layer's weight by its largest singular value.
            initialization: Initial weights: PyTorch's, DCGAN's N(0, 0.02), or Glorot uniform as in Keras.
            num_classes: Number of classes, set by model.conditional, which enter at the last layer; 0: unconditional.
        """
        super().__init__(image_shape, out_features, num_classes)
        check_at_least_one("hidden_dims", hidden_dims)

        layers: list[nn.Module] = [nn.Flatten()]
        features = math.prod(image_shape)
        for units in hidden_dims:
            layers += [nn.Linear(features, units), activation_layer(leaky_slope)]
            features = units
        layers.append(nn.Linear(features, out_features))
        self.layers = nn.Sequential(*layers)
        self.add_class_part(features)
        initialize(self, initialization)
        if spectral_norm:
            add_spectral_norm(self)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits (batch, out_features) of images (batch, channels, height, width)."""
        return self.logits(images, labels)


def batch_norm_layer(units: int, num_classes: int) -> nn.Module:
    """BatchNorm of vectors (batch, units), conditional with `num_classes`."""
    if num_classes:
        return ConditionalBatchNorm(nn.BatchNorm1d(units, affine=False), num_classes)
    return nn.BatchNorm1d(units)
