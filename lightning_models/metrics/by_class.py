"""How good the samples of each class are, of a model that was asked for classes."""

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.data import dim_zero_cat

from lab.errors import UserError
from lightning_models.metrics.catalogue import CATALOGUE


class IntraClassDistance(Metric):
    """The mean over all classes of the Frechet distance within the class (intra-FID, Miyato & Koyama 2018, section 4).

    It is larger than the distance over all images, also for real images, because a class has fewer of them: compare it
    with its baseline, for the same numbers of images.
    """

    full_state_update = False
    higher_is_better = CATALOGUE["intra_fid"].higher_is_better
    real: list[Tensor]
    fake: list[Tensor]
    real_labels: list[Tensor]
    fake_labels: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        for name in ("real", "fake", "real_labels", "fake_labels"):
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(self, features: Tensor, labels: Tensor, real: bool) -> None:
        """Add features (batch, num_features) and labels (batch,), of generated images those that were asked for."""
        (self.real if real else self.fake).append(features)
        (self.real_labels if real else self.fake_labels).append(labels)

    def compute(self) -> Tensor:
        """The mean distance, a scalar from 0 up.

        Raises:
            UserError: if a class of the real images has fewer than 2 images on either side.
        """
        kept = (self.real, self.fake, self.real_labels, self.fake_labels)
        if not all(len(part) for part in kept):
            raise UserError("distances within classes need real and generated images, found none")
        real, fake, real_labels, fake_labels = (dim_zero_cat(part) for part in kept)
        distances = []
        for number in sorted(set(real_labels.tolist())):
            sides = real[real_labels == number], fake[fake_labels == number]
            if min(map(len, sides)) < 2:
                raise UserError(
                    f"distances within classes need at least 2 images a class, found {len(sides[0])} real and "
                    f"{len(sides[1])} generated ones of class {number}: give more"
                )
            distances.append(frechet_distance(*sides))
        return torch.stack(distances).mean()


class ClassAgreement(Metric):
    """Share of generated images that a classifier assigns to the class asked for, 0 to 1; by chance 1 / classes."""

    full_state_update = False
    higher_is_better = CATALOGUE["class_agreement"].higher_is_better
    agreed: Tensor
    asked: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("agreed", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("asked", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Add the classifier's logits (batch, classes) of generated images, and the labels (batch,) asked for."""
        self.agreed += (logits.argmax(dim=1) == labels).sum()
        self.asked += len(labels)

    def compute(self) -> Tensor:
        """The share, a scalar.

        Raises:
            UserError: without any image.
        """
        if self.asked == 0:
            raise UserError("the agreement with the classes asked for needs generated images, found none")
        return self.agreed / self.asked


def frechet_distance(one: Tensor, other: Tensor) -> Tensor:
    """Frechet distance of the Gaussians with the moments of two sets of features (images, features), in float64.

    The trace of the root of the covariances' product is the nuclear norm of a product of the centred features, which
    takes no root of a matrix, and is quick where a class has few images.
    """
    means, factors, variances = [], [], []
    for features in (one.double(), other.double()):
        mean = features.mean(dim=0)
        factor = torch.linalg.qr(features - mean, mode="r").R / (len(features) - 1) ** 0.5
        means.append(mean)
        factors.append(factor)  # factor.T @ factor is the covariance
        variances.append(factor.square().sum())
    shared = torch.linalg.svdvals(factors[0] @ factors[1].T).sum()
    distance: Tensor = (means[0] - means[1]).square().sum() + variances[0] + variances[1] - 2 * shared
    return distance.clamp(min=0)
