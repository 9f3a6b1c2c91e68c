"""Which classes the generated images belong to, by a classifier."""

import torch
from torch import Tensor
from torchmetrics import Metric

from lab.errors import UserError
from lightning_models.metrics.catalogue import CATALOGUE

SMALLEST_SHARE = 0.01
MOST_CLASSES = 100  # that can all have this share


class ClassCoverage(Metric):
    """How many classes are reached, and how far their histogram is from that of the real images.

    A class is reached by 1 % of the images; of more than 100 classes, as in stacked MNIST, by a single one, which is
    how its modes are counted (Srivastava et al. 2017, section 4.2). The KL is KL(generated || real), in nats: 0 for
    equal histograms, ln 10 for one of ten equal classes. A class without any real image counts as half an image, which
    keeps the KL finite.
    """

    full_state_update = False
    higher_is_better = CATALOGUE["modes"].higher_is_better
    real: Tensor
    fake: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.share = SMALLEST_SHARE if num_classes <= MOST_CLASSES else 0.0
        self.add_state("real", torch.zeros(num_classes, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("fake", torch.zeros(num_classes, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, logits: Tensor, real: bool) -> None:
        """Add the classifier's logits (batch, num_classes) of real or of generated images."""
        histogram = self.real if real else self.fake
        histogram += logits.argmax(dim=1).bincount(minlength=len(histogram))

    def compute(self) -> dict[str, Tensor]:
        """`modes`, from 0 to num_classes, and `class_kl`, from 0 up.

        Raises:
            UserError: if one side has no image.
        """
        for name, histogram in (("real", self.real), ("generated", self.fake)):
            if histogram.sum() == 0:
                raise UserError(f"the histogram of classes needs {name} images, found none")
        return {"modes": self.reached(self.fake), "class_kl": self.kl()}

    def reached(self, histogram: Tensor) -> Tensor:
        """Number of classes with enough images."""
        return ((histogram > 0) & (histogram >= self.share * histogram.sum())).sum().float()

    def kl(self) -> Tensor:
        """KL(generated || real) of the two histograms, in nats."""
        share = self.fake.double() / self.fake.sum()
        real_share = self.real.double().clamp(min=0.5) / self.real.sum()
        nats: Tensor = torch.special.xlogy(share, share / real_share).sum().float()
        return nats
