"""Self-attention over the pixels of a map."""

import torch
from torch import Tensor, nn


class SelfAttention(nn.Module):
    """SAGAN's (Zhang et al. 2019): each pixel sees all others, by keys and queries of an eighth of the channels.

    It starts as the identity: its output has a learned weight that is 0 at first. Keys are at every pixel; values and
    keys have no pooling, as in section 3 of the paper.

    Args:
        channels: channels of the map.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner, values = max(1, channels // 8), max(1, channels // 2)
        self.query = nn.Conv2d(channels, inner, 1, bias=False)
        self.key = nn.Conv2d(channels, inner, 1, bias=False)
        self.value = nn.Conv2d(channels, values, 1, bias=False)
        self.output = nn.Conv2d(values, channels, 1, bias=False)
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (batch, channels, height, width) of the same shape."""
        query, key, value = (layer(maps).flatten(2) for layer in (self.query, self.key, self.value))
        shares = (query.transpose(1, 2) @ key).softmax(dim=2)  # (batch, pixels, pixels): of each pixel for all others
        seen = (value @ shares.transpose(1, 2)).unflatten(2, maps.shape[2:])
        found: Tensor = maps + self.weight * self.output(seen)
        return found
