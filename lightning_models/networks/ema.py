"""Averaged weights."""

import copy

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class ExponentialMovingAverage(nn.Module):
    """The exponential moving average of a network's weights, for sampling (Yazici et al. 2019).

    It starts as an exact copy and never requires gradients.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.average = copy.deepcopy(network).requires_grad_(False)

    @torch.no_grad()
    def update(self, network: nn.Module, decay: float) -> None:
        """Move each weight to decay * average + (1 - decay) * network, for a `decay` in [0, 1].

        Buffers are copied: BatchNorm's running statistics are averages already.
        """
        move = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        move(list(self.average.parameters()), list(network.parameters()), None)
        for averaged, current in zip(self.average.buffers(), network.buffers(), strict=True):
            averaged.copy_(current)

    def forward(self, *inputs: Tensor) -> Tensor:
        outputs: Tensor = self.average(*inputs)
        return outputs


def scaled_memory(decay: float, factor: float) -> float:
    """The decay whose averaging time 1 / (1 - decay) is `factor` times that of `decay`; 0 where this is below 1."""
    return decay if factor == 1 else max(0.0, 1 - (1 - decay) / factor) if factor > 0 else 0.0
