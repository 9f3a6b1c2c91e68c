"""How different generated images are from each other."""

import torch
from torch import Tensor
from torchmetrics import Metric

from lab.errors import UserError
from lightning_models.metrics.catalogue import CATALOGUE


class Diversity(Metric):
    """Distance between two generated images relative to that between two real ones: root mean squares over all pairs.

    1: as different from each other as real images; 0: all the same. The mean squared distance of all pairs is twice the
    trace of the covariance, so that sums are all that is kept.
    """

    full_state_update = False
    higher_is_better = CATALOGUE["diversity"].higher_is_better

    def __init__(self, num_features: int) -> None:
        super().__init__()
        for side in ("real", "fake"):
            self.add_state(f"{side}_count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
            self.add_state(f"{side}_sum", torch.zeros(num_features, dtype=torch.float64), dist_reduce_fx="sum")
            self.add_state(f"{side}_squares", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, features: Tensor, real: bool) -> None:
        """Add features (batch, num_features) of real or of generated images."""
        side, features = "real" if real else "fake", features.double()
        for name, value in (
            ("count", len(features)),
            ("sum", features.sum(dim=0)),
            ("squares", features.square().sum()),
        ):
            setattr(self, f"{side}_{name}", getattr(self, f"{side}_{name}") + value)

    def compute(self) -> Tensor:
        """The ratio, a scalar from 0 up.

        Raises:
            UserError: if one side has fewer than two images, or all real images are the same.
        """
        real, fake = self.mean_squared_distance("real"), self.mean_squared_distance("fake")
        if real == 0:
            raise UserError("all real images have the same features: there is no diversity to compare with")
        ratio: Tensor = (fake / real).sqrt().float()
        return ratio

    def mean_squared_distance(self, side: str) -> Tensor:
        """Of all pairs of different images of one side."""
        count, total, squares = (getattr(self, f"{side}_{name}") for name in ("count", "sum", "squares"))
        if count < 2:
            name = "real" if side == "real" else "generated"
            raise UserError(f"pairs need at least 2 {name} images, found {count}")
        variance = (squares - total.square().sum() / count).clamp(min=0) / (count - 1)
        distance: Tensor = 2 * variance * (variance > SAME * squares / count)
        return distance


SAME = 1e-12  # variance below this share of the mean square is rounding
