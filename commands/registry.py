"""The classes that can be named on the command line by their short names, and what the data tells the model.

Importing this module imports them all, which is what lets jsonargparse find them.
"""

from datamodules.images import CIFAR10, MNIST, Digits, FashionMNIST, ImageFolder
from lightning_models import likelihoods, networks, objectives, regularizers, schedules
from lightning_models.callbacks.confusion import ConfusionMatrices
from lightning_models.callbacks.learning_curves import LearningCurves
from lightning_models.callbacks.mistakes import WorstMistakes
from lightning_models.callbacks.publish_judge import PublishJudge  # noqa: F401, named in configs
from lightning_models.callbacks.vae_pictures import VAEPictures
from lightning_models.gan import GAN
from lightning_models.gan_variants import LSGAN, WGAN, WGANGP
from lightning_models.image_classifier import ImageClassifier
from lightning_models.vae import VAE

MODELS = (GAN, LSGAN, WGAN, WGANGP, VAE, ImageClassifier)
DATA = (Digits, MNIST, FashionMNIST, CIFAR10, ImageFolder)
INJECTED = {
    "generator": networks.Generator,
    "discriminator": networks.Discriminator,
    "encoder": networks.Discriminator,
    "decoder": networks.Generator,
    "likelihood": likelihoods.Likelihood,
    "objective": objectives.Objective,
    "regularizer": regularizers.Regularizer,
    "network": networks.Classifier,
    "schedule": schedules.Schedule,
}  # option -> base class

CALLBACKS = {  # what else looks at a run of a model family
    VAE: (VAEPictures,),
    ImageClassifier: (ConfusionMatrices, WorstMistakes, LearningCurves),
}

LINKED = (
    "image_shape",
    "value_range",
    "class_names",
)  # attributes of the data that models take, where they have such an option
