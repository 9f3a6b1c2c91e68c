"""The classes that can be named on the command line by their short names, and what the data tells the model.

Importing this module imports them all, which is what lets jsonargparse find them.
"""

from functools import partial

from pytorch_lightning import LightningDataModule, LightningModule

from datamodules.images import CIFAR10, MNIST, Digits, FashionMNIST, ImageFolder
from datamodules.images.stacked_mnist import StackedMNIST
from datamodules.sequences.names import Languages, Names
from datamodules.sequences.palindromes import Palindromes
from datamodules.text import Text
from lightning_models.callbacks.alarms import Alarms
from lightning_models.callbacks.confusion import ConfusionMatrices
from lightning_models.callbacks.image_samples import ImageSamples
from lightning_models.callbacks.learning_curves import LearningCurves
from lightning_models.callbacks.mistakes import WorstMistakes
from lightning_models.callbacks.publish_classifier import PublishClassifier  # noqa: F401, named in configs
from lightning_models.callbacks.sample_quality import SampleQuality
from lightning_models.callbacks.text_samples import TextSamples
from lightning_models.callbacks.vae_pictures import VAEPictures
from lightning_models.gan import GAN
from lightning_models.gan_variants import LSGAN, WGAN, WGANGP
from lightning_models.image_classifier import ImageClassifier
from lightning_models.language_model import CharLanguageModel
from lightning_models.sequence_classifier import SequenceClassifier
from lightning_models.vae import VAE

MODELS = (GAN, LSGAN, WGAN, WGANGP, VAE, ImageClassifier, SequenceClassifier, CharLanguageModel)
IMAGES = (Digits, MNIST, FashionMNIST, CIFAR10, ImageFolder, StackedMNIST)
SEQUENCES = (Palindromes, Names, Languages)
TEXTS = (Text,)
DATA = (*IMAGES, *SEQUENCES, *TEXTS)
LEARNS_FROM = {  # which of these data a model of a family takes
    GAN: IMAGES,
    VAE: IMAGES,
    ImageClassifier: IMAGES,
    SequenceClassifier: SEQUENCES,
    CharLanguageModel: TEXTS,
}
BASES = {"model": LightningModule, "data": LightningDataModule}
SHORT_NAMES: dict[str, tuple[type, ...]] = {"model": MODELS, "data": DATA}  # that a message proposes
CALLBACK_OPTIONS = {"samples": ImageSamples, "texts": TextSamples, "quality": SampleQuality, "alarms": Alarms}

CALLBACKS = {  # what else looks at a run of a model family
    VAE: (VAEPictures,),
    ImageClassifier: (ConfusionMatrices, WorstMistakes, LearningCurves),
    SequenceClassifier: (ConfusionMatrices, LearningCurves),
    CharLanguageModel: (partial(LearningCurves, ("nats_per_char",)),),
}

LINKED = (
    "image_shape",
    "value_range",
    "vocabulary",
    "class_names",
)  # attributes of the data that models take, where they have such an option

# Those of them that a checkpoint brings along: with one, the data gets them as its own options of the same names.
CARRIED = ("vocabulary", "class_names")
