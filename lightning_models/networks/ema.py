import copy

import torch
from torch import Tensor, nn


class ExponentialMovingAverage(nn.Module):
    """A second set of a network's weights that follows the first slowly (Yazici et al. 2019), for sampling.

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
        # One kernel for all weights, and nothing waits for the device.
        torch._foreach_lerp_(list(self.average.parameters()), list(network.parameters()), 1 - decay)
        for averaged, current in zip(self.average.buffers(), network.buffers(), strict=True):
            averaged.copy_(current)

    def forward(self, inputs: Tensor) -> Tensor:
        """What the averaged network returns for the same inputs."""
        outputs: Tensor = self.average(inputs)
        return outputs
