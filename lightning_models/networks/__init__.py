from lightning_models.networks.classifiers import CNNClassifier, MLPClassifier
from lightning_models.networks.conv import ConvDiscriminator, ConvGenerator
from lightning_models.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from lightning_models.networks.ema import ExponentialMovingAverage
from lightning_models.networks.interfaces import Classifier, Discriminator, Generator, ImageShape
from lightning_models.networks.mlp import MLPDiscriminator, MLPGenerator

__all__ = [
    "Generator",
    "Discriminator",
    "Classifier",
    "ImageShape",
    "MLPGenerator",
    "MLPDiscriminator",
    "ConvGenerator",
    "ConvDiscriminator",
    "DCGANGenerator",
    "DCGANDiscriminator",
    "MLPClassifier",
    "CNNClassifier",
    "ExponentialMovingAverage",
]
