"""Parts that several networks share, chosen by name: normalization, activation, output, initialization."""

import math
from typing import Literal

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from lab.errors import UserError
from lightning_models.modules.checks import check_choice
from lightning_models.networks.conditioning import ConditionalBatchNorm

Normalization = Literal["batch", "instance", "layer", "none"]
Initialization = Literal["torch", "dcgan", "glorot", "he"]
Activation = Literal["relu", "leaky_relu", "tanh", "sigmoid", "gelu"]
Output = Literal["tanh", "sigmoid", "none"]


def normalization_layer(
    normalization: Normalization,
    channels: int,
    map_size: tuple[int, int],
    batch_norm_momentum: float = 0.1,
    batch_norm_eps: float = 1e-5,
    num_classes: int = 0,
) -> nn.Module:
    """A layer that normalizes maps (batch, channels, *map_size); nn.Identity for "none".

    The momentum is PyTorch's: the weight of the *new* batch in the running statistics. With `num_classes`, BatchNorm is
    conditional.

    Raises:
        UserError: For "instance" on a map of 1 x 1, an unknown normalization, or classes without BatchNorm.
    """
    check_choice("normalization", normalization, Normalization)
    if num_classes:
        check_conditional_norm(normalization == "batch", f"normalization {normalization}")
        normalized = nn.BatchNorm2d(channels, batch_norm_eps, batch_norm_momentum, affine=False)
        return ConditionalBatchNorm(normalized, num_classes)
    if normalization == "batch":
        return nn.BatchNorm2d(channels, batch_norm_eps, batch_norm_momentum)
    if normalization == "instance":
        if math.prod(map_size) == 1:
            raise UserError(
                "normalization instance cannot normalize a map of 1 x 1, where each channel is a single number: "
                "use fewer stages, or normalization layer or none"
            )
        return nn.InstanceNorm2d(channels, affine=True)
    if normalization == "layer":  # LayerNorm over C x H x W, but with one gain per channel
        return nn.GroupNorm(1, channels)
    return nn.Identity()


def check_conditional_norm(has_batch_norm: bool, found: str) -> None:
    """Raise UserError where conditional BatchNorm was asked for but there is no BatchNorm."""
    if not has_batch_norm:
        raise UserError(f"conditioning batch_norm needs BatchNorm, found {found}: use conditioning embedding")


def activation_layer(leaky_slope: float) -> nn.Module:
    """LeakyReLU with this slope, or ReLU for slope 0; in place, as the layer before it does not need its output."""
    return nn.LeakyReLU(leaky_slope, inplace=True) if leaky_slope else nn.ReLU(inplace=True)


def named_activation(activation: Activation) -> nn.Module:
    """The activation of a classifier's hidden layers; leaky_relu has torch's default slope of 0.01 below zero."""
    check_choice("activation", activation, Activation)
    layers: dict[str, nn.Module] = {
        "relu": nn.ReLU(inplace=True),
        "leaky_relu": nn.LeakyReLU(inplace=True),
        "tanh": nn.Tanh(),
        "sigmoid": nn.Sigmoid(),
        "gelu": nn.GELU(),
    }
    return layers[activation]


def output_layer(output: Output) -> nn.Module:
    """The layer that maps a generator's last map to its value range: tanh to [-1, 1], sigmoid to [0, 1].

    "none" leaves the map unchanged, for a VAE whose likelihood takes logits.
    """
    layers: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "none": nn.Identity}
    return layers[output]()


OUTPUT_RANGES = {"tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0), "none": (-math.inf, math.inf)}


def initialize(network: nn.Module, initialization: Initialization) -> None:
    """Initialize all linear and convolutional layers; call it before spectral normalization replaces their weights.

    "torch": leave PyTorch's initial weights. "dcgan": N(0, 0.02), BatchNorm's gain N(1, 0.02) (Radford et al. 2016,
    section 4). "glorot": uniform by fan in + fan out (Glorot & Bengio 2010), Keras' default. "he": N(0, 2 / fan in),
    for ReLU (He et al. 2015, equation 10). All but "torch" set biases to 0.
    """
    check_choice("initialization", initialization, Initialization)
    if initialization == "torch":
        return
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            if initialization == "dcgan":
                nn.init.normal_(layer.weight, std=0.02)
            elif initialization == "he":
                nn.init.kaiming_normal_(layer.weight)
            else:
                nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) and layer.affine and initialization == "dcgan":
            nn.init.normal_(layer.weight, mean=1.0, std=0.02)


def add_spectral_norm(network: nn.Module) -> None:
    """Divide each linear, convolutional and class weight by its largest singular value (Miyato et al. 2018).

    Each forward pass in training mode does one power iteration; passes in evaluation mode do none.
    """
    for layer in list(network.modules()):
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.Embedding):
            spectral_norm(layer)
