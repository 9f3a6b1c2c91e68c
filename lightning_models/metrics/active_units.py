"""How many latent variables a VAE uses."""

import torch
from torch import Tensor
from torchmetrics import Metric

from lightning_models.metrics.catalogue import CATALOGUE


class ActiveUnits(Metric):
    """Number of latent variables whose posterior mean varies over the data by more than a threshold.

    An unused variable has the same posterior, the prior, for every image: its mean has variance 0 (Burda et al. 2016,
    section 5.2, whose threshold of 0.01 this is). Three sums are all that is kept, whatever the size of the data.
    """

    full_state_update = False
    higher_is_better = CATALOGUE["active_units"].higher_is_better
    count: Tensor
    total: Tensor
    total_of_squares: Tensor

    def __init__(self, latent_dim: int, threshold: float = 0.01) -> None:
        super().__init__()
        self.threshold = threshold
        self.add_state("count", torch.zeros(()), dist_reduce_fx="sum")
        self.add_state("total", torch.zeros(latent_dim), dist_reduce_fx="sum")
        self.add_state("total_of_squares", torch.zeros(latent_dim), dist_reduce_fx="sum")

    def update(self, posterior_mean: Tensor) -> None:
        """Add the posterior means (batch, latent_dim) of a batch."""
        self.count += len(posterior_mean)
        self.total += posterior_mean.sum(dim=0)
        self.total_of_squares += posterior_mean.square().sum(dim=0)

    def compute(self) -> Tensor:
        """The number of active variables, a float scalar from 0 to latent_dim."""
        variance = self.total_of_squares / self.count - (self.total / self.count).square()
        return (variance > self.threshold).sum().float()
