"""The losses of the discriminator D and the generator G, from D's raw outputs of real and of generated images.

A loss's own side comes first: real before fake for D, fake before real for G. Each loss is a float32 scalar, whatever
the precision of the networks, and averages over the batch. A discriminator loss is the *sum* of its mean over real
images and its mean over fake ones.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from lab.errors import UserError


class Objective(ABC):
    """A pair of losses, and the interpretation of D's output."""

    uses_labels: ClassVar[bool] = True
    compares: ClassVar[bool] = False  # whether G's loss depends on the real images, too

    def __init__(self, real_label: float = 1.0, fake_label: float = 0.0) -> None:
        """Store the labels that D is trained with; G is always trained towards label 1.

        Args:
            real_label: D's target for real images; below 1 it is one-sided label smoothing (Salimans et al. 2016).
            fake_label: D's target for generated images; above 0 it smooths the other side as well.

        Raises:
            UserError: If not 0 <= fake_label < real_label <= 1, or if the loss has no labels to smooth.
        """
        name = type(self).__name__
        if not self.uses_labels and (real_label, fake_label) != (1.0, 0.0):
            raise UserError(
                f"{name} has no labels in its loss, so nothing can be smoothed: "
                f"leave out real_label ({real_label}) and fake_label ({fake_label})"
            )
        if not 0 <= fake_label < real_label <= 1:
            raise UserError(
                f"{name} needs 0 <= fake_label < real_label <= 1, "
                f"found fake_label {fake_label} and real_label {real_label}"
            )
        self.real_label = real_label
        self.fake_label = fake_label

    @abstractmethod
    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """The loss that D minimises."""

    @abstractmethod
    def generator_loss(self, fake_logits: Tensor, real_logits: Tensor) -> Tensor:
        """The loss that G minimises.

        In training `real_logits`, which carry no gradient, are those of D before its update, unless the objective
        `compares`.
        """

    def score(self, logits: Tensor) -> Tensor:
        """The quantity that the objective's paper calls D(x), of the shape of `logits`."""
        return logits.float()

    def threshold(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor | float:
        """The raw output above which D classifies an image as real."""
        return 0.0

    def accuracy(self, real_logits: Tensor, fake_logits: Tensor) -> tuple[Tensor, Tensor]:
        """D's accuracies on real and on fake images, in [0, 1].

        D's decision is compared with what an image *is*, not with its smoothed label: no decision equals 0.9, which is
        why Keras reports 0 % on real images in report 2. An output equal to the threshold counts as fake.
        """
        threshold = self.threshold(real_logits, fake_logits)
        return (real_logits > threshold).float().mean(), (fake_logits <= threshold).float().mean()


class Minimax(Objective):
    """The original game (Goodfellow et al. 2014, eq. 1), D(x) = sigmoid(logit): G *minimises* log(1 - D(G(z))).

    When D cannot tell (logit 0), D's loss is 2 ln 2 = 1.386 and G's -ln 2 = -0.693. With labels 0.9 and 0.1, D's loss
    is never below 0.650. G's gradient vanishes where D is confident, as it soon is early in training.
    """

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Cross-entropy against `real_label` plus cross-entropy against `fake_label`, in nats."""
        return cross_entropy(real_logits, self.real_label) + cross_entropy(fake_logits, self.fake_label)

    def generator_loss(self, fake_logits: Tensor, real_logits: Tensor) -> Tensor:
        """Mean log(1 - D(G(z))), <= 0."""
        # log(1 - sigmoid(x)) = -softplus(x), which is finite where sigmoid(x) rounds to 1.
        return -F.softplus(fake_logits.float()).mean()

    def score(self, logits: Tensor) -> Tensor:
        """D(x) as a probability in [0, 1]."""
        return logits.float().sigmoid()


class NonSaturating(Minimax):
    """Minimax for D; G minimises -log D(G(z)), whose gradient is largest where D is confident (section 3 there).

    When D cannot tell (logit 0), D's loss is 2 ln 2 = 1.386 and G's ln 2 = 0.693.
    """

    def generator_loss(self, fake_logits: Tensor, real_logits: Tensor) -> Tensor:
        """Mean -log D(G(z)), >= 0: cross-entropy against label 1."""
        return F.softplus(-fake_logits.float()).mean()


class LeastSquares(Objective):
    """LSGAN (Mao et al. 2017, eq. 9): squared distance of D's raw output from 1 (real) and 0 (fake).

    When D cannot tell (0.5 everywhere), D's loss is 0.25 and G's 0.125.
    """

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Half the mean squared distance from `real_label` plus half that from `fake_label`."""
        real_error = (real_logits.float() - self.real_label).square().mean()
        fake_error = (fake_logits.float() - self.fake_label).square().mean()
        return 0.5 * (real_error + fake_error)

    def generator_loss(self, fake_logits: Tensor, real_logits: Tensor) -> Tensor:
        """Half the mean squared distance from 1."""
        return 0.5 * (fake_logits.float() - 1).square().mean()

    def threshold(self, real_logits: Tensor, fake_logits: Tensor) -> float:
        """0.5, half-way between the labels 0 and 1."""
        return 0.5


class Wasserstein(Objective):
    """WGAN (Arjovsky et al. 2017, eq. 2): the critic's mean output on fake minus that on real images.

    Minus the critic's loss estimates the earth mover's distance, up to the critic's Lipschitz constant, which a
    regularizer must bound. When the critic cannot tell, its loss is 0. G's loss has no fixed scale.
    """

    uses_labels = False

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Mean f(G(z)) - mean f(x), of any sign and size."""
        return fake_logits.float().mean() - real_logits.float().mean()

    def generator_loss(self, fake_logits: Tensor, real_logits: Tensor) -> Tensor:
        """Mean -f(G(z))."""
        return -fake_logits.float().mean()

    def threshold(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Half-way between the two means; 0 has no meaning, because a constant added to the critic changes no loss."""
        return 0.5 * (real_logits.float().mean() + fake_logits.float().mean())


class Hinge(Objective):
    """Geometric GAN (Lim & Ye 2017; Miyato et al. 2018, eq. 16): D's margins of 1 on each side of 0.

    When D cannot tell (0 everywhere), D's loss is 2 and G's 0.
    """

    uses_labels = False

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Mean max(0, 1 - D(x)) + mean max(0, 1 + D(G(z))), >= 0."""
        return F.relu(1 - real_logits.float()).mean() + F.relu(1 + fake_logits.float()).mean()

    def generator_loss(self, fake_logits: Tensor, real_logits: Tensor) -> Tensor:
        """Mean -D(G(z))."""
        return -fake_logits.float().mean()


class RelativisticPairing(Objective):
    """RpGAN (Jolicoeur-Martineau 2019, section 4.1): D ranks each real image above the fake one that it is paired with.

    G ranks them the other way round, so the real images pull on G's loss, too. R3GAN (Huang et al. 2024, eq. 2) is this
    loss with `R1` and `R2`. When D cannot tell (equal outputs), both losses are ln 2 = 0.693.
    """

    uses_labels = False
    compares = True

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Mean -log sigmoid(D(x) - D(G(z))) over the pairs, >= 0; as many real as fake logits."""
        return F.softplus(fake_logits.float() - real_logits.float()).mean()

    def generator_loss(self, fake_logits: Tensor, real_logits: Tensor) -> Tensor:
        """Mean -log sigmoid(D(G(z)) - D(x)), >= 0."""
        return F.softplus(real_logits.float() - fake_logits.float()).mean()

    def threshold(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Half-way between the two means, as for `Wasserstein`: a constant added to D changes no loss."""
        return 0.5 * (real_logits.float().mean() + fake_logits.float().mean())


def cross_entropy(logits: Tensor, label: float) -> Tensor:
    """Mean binary cross-entropy of sigmoid(logits) with the same label in [0, 1] for all, in nats."""
    logits = logits.float()
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))
