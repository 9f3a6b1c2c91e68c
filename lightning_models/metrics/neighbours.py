"""Distances between two sets of features, in pieces that fit into memory, and what is measured by them."""

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.data import dim_zero_cat

from lab.errors import UserError
from lightning_models.metrics.catalogue import CATALOGUE

DISTANCES_AT_ONCE = 500_000  # 4 MB of float64; larger pieces are slower and scatter the memory
SAME = 1e-12  # squared distances below this share of the squared lengths are rounding: the points are the same


def squared_distances(points: Tensor, others: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Pieces of the matrix of squared Euclidean distances: the rows `points[rows]`, and their (rows, others) values.

    In float64, where |a|^2 + |b|^2 - 2 ab keeps half of its digits even for near points; exactly 0 for equal ones.
    """
    centre = others.mean(dim=0, dtype=torch.float64)
    points, others = points.double() - centre, others.double() - centre
    lengths, other_lengths = points.square().sum(dim=1, keepdim=True), others.square().sum(dim=1)
    step = max(1, DISTANCES_AT_ONCE // len(others))
    for first in range(0, len(points), step):
        rows = slice(first, first + step)
        scale = lengths[rows] + other_lengths
        distances = torch.addmm(scale, points[rows], others.T, alpha=-2)
        yield rows, distances.masked_fill_(distances < scale.mul_(SAME), 0.0)


def squared_radii(points: Tensor, k: int) -> Tensor:
    """Squared distance of each point to its k-th nearest neighbour among the others, (points,) float64."""
    radii = points.new_empty(len(points), dtype=torch.float64)
    for rows, part in squared_distances(points, points):
        radii[rows] = part.topk(k + 1, dim=1, largest=False).values[:, k]  # the nearest of all is the point itself
    return radii


def nearest_distances(points: Tensor, others: Tensor) -> Tensor:
    """Distance of each of `points` to the nearest of `others`, (points,) float64."""
    nearest = points.new_empty(len(points), dtype=torch.float64)
    for rows, part in squared_distances(points, others):
        nearest[rows] = part.amin(dim=1)
    return nearest.sqrt()


def joined(kept: list[Tensor] | Tensor) -> Tensor:
    """All rows of a state: a list of batches or, once it was gathered from several processes, one tensor already."""
    return dim_zero_cat(kept) if len(kept) else torch.empty(0, 0)


class NeighbourMetric(Metric):
    """Keeps the features of both sides, at most `limit` of each: the time grows with the square of their number."""

    full_state_update = False
    real: list[Tensor]
    fake: list[Tensor]

    def __init__(self, k: int, limit: int = 10_000) -> None:
        super().__init__()
        self.k, self.limit = k, limit
        self.add_state("real", [], dist_reduce_fx="cat")
        self.add_state("fake", [], dist_reduce_fx="cat")

    def update(self, features: Tensor, real: bool) -> None:
        """Add features (batch, features) of real or of generated images."""
        (self.real if real else self.fake).append(features)

    def sides(self) -> tuple[Tensor, Tensor]:
        """Real and generated features, (images, features) each.

        Raises:
            UserError: if one side has too few for `k` neighbours.
        """
        sides = []
        for name, kept in (("real", self.real), ("generated", self.fake)):
            features = joined(kept)[: self.limit]
            if len(features) <= self.k:
                raise UserError(
                    f"the {self.k} nearest neighbours of an image need at least {self.k + 1} {name} images, "
                    f"found {len(features)}: give more images, or a smaller k"
                )
            sides.append(features)
        return sides[0], sides[1]


class PrecisionRecall(NeighbourMetric):
    """Share of the generated images that lie among the real ones, and the reverse (Kynkaanniemi et al. 2019, eq. 1).

    A side's region is the union of balls around its images, each as wide as the distance to the k-th neighbour of the
    same side. Precision is fidelity, recall is diversity; both are from 0 to 1, and 1 for equal sets.
    """

    higher_is_better = CATALOGUE["precision"].higher_is_better

    def __init__(self, k: int = 3, limit: int = 10_000) -> None:
        super().__init__(k, limit)

    def compute(self) -> dict[str, Tensor]:
        """`precision` and `recall`, scalars."""
        real, fake = self.sides()
        real_radii, fake_radii = (squared_radii(side, self.k) * (1 + 1e-9) for side in (real, fake))
        precise = torch.zeros(len(fake), dtype=torch.bool, device=fake.device)
        recalled = torch.zeros(len(real), dtype=torch.bool, device=real.device)
        for rows, part in squared_distances(fake, real):
            precise[rows] = (part <= real_radii).any(dim=1)
            recalled |= (part <= fake_radii[rows, None]).any(dim=0)
        return {"precision": precise.float().mean(), "recall": recalled.float().mean()}


class DensityCoverage(NeighbourMetric):
    """Precision and recall that one outlier cannot change (Naeem et al. 2020, eqs. 3 and 5).

    Density counts in how many balls of real images a generated one lies, over k: 1 on average for equal distributions,
    with no upper limit. Coverage is the share of the real images whose ball holds a generated one, from 0 to 1. Points
    on the rim of a ball are outside, so that equal sets have density 1.
    """

    higher_is_better = CATALOGUE["coverage"].higher_is_better

    def __init__(self, k: int = 5, limit: int = 10_000) -> None:
        super().__init__(k, limit)

    def compute(self) -> dict[str, Tensor]:
        """`density` and `coverage`, scalars."""
        real, fake = self.sides()
        radii = squared_radii(real, self.k) * (1 - 1e-9)
        balls = torch.zeros((), dtype=torch.int64, device=real.device)
        covered = torch.zeros(len(real), dtype=torch.bool, device=real.device)
        for _, part in squared_distances(fake, real):
            inside = part < radii
            balls += inside.sum()
            covered |= inside.any(dim=0)
        return {"density": (balls / (self.k * len(fake))).float(), "coverage": covered.float().mean()}


class Memorization(Metric):
    """How near generated images come to training images, relative to held-out images.

    The median distance of generated images to their nearest training images, over that of held-out images. About 1: as
    far away as new images are. Far below 1: copies. Blurred or collapsed samples lower it too; see precision.
    """

    full_state_update = False
    higher_is_better = CATALOGUE["memorization"].higher_is_better
    known: list[Tensor]
    held_out: list[Tensor]
    generated: list[Tensor]

    def __init__(self, limit: int = 2_000) -> None:
        """At most `limit` generated and held-out images are compared with *all* training images."""
        super().__init__()
        self.limit = limit
        for name in PARTS:
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(self, features: Tensor, part: Literal["known", "held_out", "generated"]) -> None:
        """Add features (batch, features) of training images ("known"), held-out or generated ones."""
        getattr(self, part).append(features)

    def compute(self) -> Tensor:
        """The ratio, a scalar from 0 up.

        Raises:
            UserError: if one kind of images is missing, or held-out images are training images.
        """
        known, held_out, generated = (joined(getattr(self, name)) for name in PARTS)
        for features, meaning in zip((known, held_out, generated), PARTS.values(), strict=True):
            if len(features) == 0:
                raise UserError(f"the distance to training images needs {meaning} images, found none")
        usual = nearest_distances(held_out[: self.limit], known).median()
        if usual == 0:
            raise UserError("more than half of the held-out images are training images: keep others apart")
        return (nearest_distances(generated[: self.limit], known).median() / usual).float()


PARTS = {"known": "training", "held_out": "held-out", "generated": "generated"}
