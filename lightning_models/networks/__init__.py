"""Networks: plain `nn.Module`s, without Lightning, logging or losses."""

from lightning_models.networks.char_rnn import CharRNN
from lightning_models.networks.classifiers import CNNClassifier, MLPClassifier
from lightning_models.networks.conv import ConvDiscriminator, ConvGenerator
from lightning_models.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from lightning_models.networks.ema import ExponentialMovingAverage
from lightning_models.networks.interfaces import (
    CharNetwork,
    Classifier,
    Discriminator,
    Generator,
    ImageShape,
    SequenceNetwork,
)
from lightning_models.networks.mlp import MLPDiscriminator, MLPGenerator
from lightning_models.networks.recurrent_network import RecurrentNetwork
from lightning_models.networks.resnet import ResNetDiscriminator, ResNetGenerator
from lightning_models.networks.sequence_wrappers import CharacterDropout, Ensemble, NaiveBayesMixture

__all__ = [
    "Generator",
    "Discriminator",
    "Classifier",
    "SequenceNetwork",
    "CharNetwork",
    "ImageShape",
    "MLPGenerator",
    "MLPDiscriminator",
    "ConvGenerator",
    "ConvDiscriminator",
    "DCGANGenerator",
    "DCGANDiscriminator",
    "ResNetGenerator",
    "ResNetDiscriminator",
    "MLPClassifier",
    "CNNClassifier",
    "RecurrentNetwork",
    "Ensemble",
    "CharacterDropout",
    "NaiveBayesMixture",
    "CharRNN",
    "ExponentialMovingAverage",
]
