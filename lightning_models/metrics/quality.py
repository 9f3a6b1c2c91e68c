"""All measures of generated images, by the features of one network."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.inception import InceptionScore
from torchmetrics.image.kid import KernelInceptionDistance
from torchmetrics.utilities.data import dim_zero_cat

from lab.errors import UserError
from lightning_models.metrics.by_class import ClassAgreement, IntraClassDistance
from lightning_models.metrics.classes import MOST_CLASSES, ClassCoverage
from lightning_models.metrics.diversity import Diversity
from lightning_models.metrics.neighbours import DensityCoverage, Memorization, PrecisionRecall

KID_SUBSET = 1_000  # of Binkowski et al. 2018
SCORE_SPLITS = 10  # of Salimans et al. 2016
BUFFER_WARNING = "Metric `.*` will save all extracted features in buffer"  # 10,000 feature vectors are a few MB


class GivenFeatures(nn.Module):
    """Lets torchmetrics' metrics take features in place of images."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        """The features themselves."""
        return features


class FrechetDistance(FrechetInceptionDistance):
    """Frechet distance of the Gaussians of the same means and covariances (Heusel et al. 2017), in float64."""

    def compute(self) -> Tensor:
        """The distance, a scalar from 0 up.

        Raises:
            UserError: for fewer than 2 images of a side.
        """
        for kind, count in (("real", self.real_features_num_samples), ("generated", self.fake_features_num_samples)):
            if count < 2:
                raise UserError(f"the Frechet distance needs at least 2 {kind} images, found {int(count)}: give more")
        return super().compute().clamp(min=0)  # rounding


class KernelDistance(KernelInceptionDistance):
    """KID (Binkowski et al. 2018): the unbiased squared MMD of a cubic kernel, mean and std over random subsets.

    Subsets have 1,000 images of a side or, of fewer than 2,000, half of them. They depend on `seed` only.
    """

    def __init__(self, feature: nn.Module, seed: int = 0) -> None:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=BUFFER_WARNING)
            super().__init__(feature, subset_size=KID_SUBSET)
        self.seed = seed

    def compute(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation.

        Raises:
            UserError: for fewer than 4 images of a side.
        """
        for kind, kept in (("real", self.real_features), ("generated", self.fake_features)):
            if (count := sum(map(len, kept))) < 4:
                raise UserError(f"the kernel distance needs at least 4 {kind} images, found {count}: give more")
        real, fake = dim_zero_cat(self.real_features), dim_zero_cat(self.fake_features)
        size = min(KID_SUBSET, len(real) // 2, len(fake) // 2)
        generator = torch.Generator().manual_seed(self.seed)
        found = []
        for _ in range(self.subsets):
            chosen = [side[torch.randperm(len(side), generator=generator)[:size]] for side in (real, fake)]
            found.append(unbiased_mmd(*chosen))
        values = torch.stack(found)
        return values.mean(), values.std(correction=0)


def unbiased_mmd(real: Tensor, fake: Tensor) -> Tensor:
    """Squared MMD of the kernel (a.b / num_features + 1)^3 (Gretton et al. 2012, eq. 3): about 0, also below it.

    Cubes by two products: torchmetrics' general power takes four times as long.
    """

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        product = torch.addmm(a.new_ones(()), a, b.T, alpha=1 / a.shape[1])
        return product.square().mul_(product)

    count = len(real)  # and of fake
    within: Tensor = sum(
        (k.sum() - k.diagonal().sum() for k in (kernel(real, real), kernel(fake, fake))), real.new_zeros(())
    )
    return within / (count * (count - 1)) - 2 * kernel(real, fake).mean()


class ClassifierScore(InceptionScore):
    """The Inception score (Salimans et al. 2016) with any classifier: from 1 to its number of classes.

    exp of the mean KL of an image's class probabilities to the mean ones. Mean and std over ten random parts, which
    depend on `seed` only.
    """

    def __init__(self, feature: nn.Module, seed: int = 0) -> None:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=BUFFER_WARNING)
            super().__init__(feature, splits=SCORE_SPLITS)
        self.seed = seed

    def compute(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation.

        Raises:
            UserError: for fewer images than two a part.
        """
        if (count := sum(map(len, self.features))) < 2 * SCORE_SPLITS:
            raise UserError(f"the classifier score needs at least {2 * SCORE_SPLITS} generated images, found {count}")
        logits = dim_zero_cat(self.features)
        order = torch.randperm(len(logits), generator=torch.Generator().manual_seed(self.seed))
        scores = []
        for part in torch.chunk(logits[order], self.splits):
            share = part.double().softmax(
                dim=1
            )  # a float32 of a sure classifier would be 0, and its logarithm infinite
            information = torch.special.entr(share.mean(dim=0)).sum() - torch.special.entr(share).sum(dim=1).mean()
            scores.append(information.exp())
        return torch.stack(scores).mean(), torch.stack(scores).std()


@dataclass
class Measured:
    """Values by name, and a message for each measure that failed."""

    values: dict[str, float] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


class Quality:
    """Compares generated with real images by their features; streams, and works over several processes.

    `update` takes any number of images at a time; `compute` gives, as far as the images allow it:
    `fid`, `kid` and `kid_std` (Heusel et al. 2017; Binkowski et al. 2018), `precision`, `recall`, `density`,
    `coverage`, `diversity`, `memorization`, and by a classifier's logits `modes`, `class_kl`, `classifier_score` and
    `classifier_score_std`; with labels also `intra_fid` and, by a classifier of the same classes, `class_agreement`.

    Every process must call `update` equally often for each kind of images.

    Args:
        num_features: length of a feature vector.
        num_classes: of the classifier; none: without the measures that need one.
        seed: of the random subsets of the kernel distance and the classifier score.
        device: that the features are compared on.
        asked_classes: number of classes that a conditional model can be asked for; 0: it is unconditional.
    """

    def __init__(
        self,
        num_features: int,
        num_classes: int | None,
        seed: int = 0,
        device: torch.device | str = "cpu",
        asked_classes: int = 0,
    ) -> None:
        given = GivenFeatures(num_features)
        self.two_samples: dict[str, Any] = {
            "fid": FrechetDistance(given),
            "kid": KernelDistance(given, seed),
            "precision": PrecisionRecall(),
            "density": DensityCoverage(),
            "diversity": Diversity(num_features),
        }
        self.score = ClassifierScore(given, seed) if num_classes else None
        self.classes = ClassCoverage(num_classes) if num_classes else None
        self.memorization = Memorization()
        self.intra = IntraClassDistance() if 0 < asked_classes <= MOST_CLASSES else None
        self.agreement = ClassAgreement() if asked_classes and asked_classes == num_classes else None
        every = [*self.two_samples.values(), self.score, self.classes, self.memorization, self.intra, self.agreement]
        for metric in every:
            if metric is not None:
                metric.to(device)
        self.device = device

    def update(self, features: Tensor, logits: Tensor | None, real: bool, labels: Tensor | None = None) -> None:
        """Add features (batch, num_features), of a classifier logits (batch, num_classes), and labels (batch,).

        Raises:
            UserError: for features that are not finite.
        """
        check_finite(features, "real" if real else "generated")
        features = features.to(self.device)
        for metric in self.two_samples.values():
            metric.update(features, real=real)
        if not real:
            self.memorization.update(features, "generated")
        if logits is not None and self.classes is not None and self.score is not None:
            logits = logits.to(self.device)
            self.classes.update(logits, real=real)
            if not real:
                self.score.update(logits)

        if labels is None:
            return
        labels = labels.to(self.device)
        if self.intra is not None:
            self.intra.update(features, labels, real=real)
        if self.agreement is not None and logits is not None and not real:
            self.agreement.update(logits, labels)

    def update_neighbours(self, train: Tensor, held_out: Tensor) -> None:
        """Add features of the training and the held-out images that `memorization` compares with."""
        self.memorization.update(train.to(self.device), "known")
        self.memorization.update(held_out.to(self.device), "held_out")

    def compute(self) -> Measured:
        """All measures, over all processes."""
        measured = Measured()
        for name, metric in self.two_samples.items():
            self.add(measured, name, metric)
        if self.classes is not None:
            self.add(measured, "modes", self.classes)
            self.add(measured, "classifier_score", self.score)
        if self.intra is not None:
            self.add(measured, "intra_fid", self.intra)
        if self.agreement is not None:
            self.add(measured, "class_agreement", self.agreement)
        if self.memorization.known:
            self.add(measured, "memorization", self.memorization)
        return measured

    def add(self, measured: Measured, name: str, metric: Any) -> None:
        """Add the values of a metric to `measured`, or why it failed."""
        try:
            found = metric.compute()
        except ValueError as error:
            measured.problems.append(f"{name}: {error}")
            return
        if isinstance(found, tuple):
            found = {name: found[0], f"{name}_std": found[1]}
        for each, value in (found if isinstance(found, Mapping) else {name: found}).items():
            measured.values[each] = float(value)


def check_finite(features: Tensor, kind: str) -> None:
    """Raise UserError if some of the features (images, features) are NaN or infinite."""
    broken = ~features.isfinite().all(dim=1)
    if broken.any():
        raise UserError(
            f"{int(broken.sum()):,} of {len(features):,} {kind} images have features that are NaN or infinite: "
            "nothing can be measured by them"
        )
