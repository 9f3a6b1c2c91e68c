from lightning_models.networks.conv import ConvDiscriminator, ConvGenerator
from lightning_models.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from lightning_models.networks.ema import ExponentialMovingAverage
from lightning_models.networks.interfaces import Discriminator, Generator, ImageShape
from lightning_models.networks.mlp import MLPDiscriminator, MLPGenerator

__all__ = [
    "Generator",
    "Discriminator",
    "ImageShape",
    "MLPGenerator",
    "MLPDiscriminator",
    "ConvGenerator",
    "ConvDiscriminator",
    "DCGANGenerator",
    "DCGANDiscriminator",
    "ExponentialMovingAverage",
]
