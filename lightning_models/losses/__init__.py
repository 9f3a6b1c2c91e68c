"""Losses: objectives of a GAN, regularizers of its discriminator, likelihoods of a VAE."""

from lightning_models.losses.likelihoods import Bernoulli, BinarizedBernoulli, Gaussian, Likelihood
from lightning_models.losses.objectives import (
    Hinge,
    LeastSquares,
    Minimax,
    NonSaturating,
    Objective,
    RelativisticPairing,
    Wasserstein,
)
from lightning_models.losses.regularizers import R1, R2, GradientPenalty, Regularizer, WeightClipping

__all__ = [
    "Bernoulli",
    "BinarizedBernoulli",
    "Gaussian",
    "GradientPenalty",
    "Hinge",
    "LeastSquares",
    "Likelihood",
    "Minimax",
    "NonSaturating",
    "Objective",
    "R1",
    "R2",
    "Regularizer",
    "RelativisticPairing",
    "Wasserstein",
    "WeightClipping",
]
