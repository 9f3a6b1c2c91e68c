"""Nearest-neighbour upsampling and a convolution in one step, computed at the lower resolution."""

import torch
from torch import Tensor, nn

from lightning_models.modules.checks import check_odd


class UpsampleConv2d(nn.Conv2d):
    """`Upsample(scale_factor=2, mode="nearest")` and `Conv2d(padding=(kernel_size - 1) // 2)`, with fewer products.

    Each pixel of the small map appears four times in the large one, so neighbouring taps of the kernel see the same
    pixel. Adding these taps first leaves one smaller kernel for each of the four positions of a large pixel within a
    small one: a convolution of the small map to four times the channels, which `pixel_shuffle` arranges (the sub-pixel
    convolution of Shi et al., arXiv:1609.05158). A kernel of 5 takes 36 products for each small pixel and pair of
    channels instead of 100; one of 3 takes 36, as before.

    Weights, initialization and the names in a checkpoint are those of `Conv2d`.
    """

    taps: Tensor

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        """Build the layer.

        Args:
            in_channels: Channels of the small map.
            out_channels: Channels of the map of twice the height and width.
            kernel_size: Kernel size on the large map; odd.

        Raises:
            UserError: If `kernel_size` is even, which cannot preserve the size of the map.
        """
        check_odd("kernel_size", kernel_size)
        super().__init__(in_channels, out_channels, kernel_size, padding=(kernel_size - 1) // 2)
        self.register_buffer("taps", shared_taps(kernel_size), persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (batch, out_channels, 2 height, 2 width) of `maps` (batch, in_channels, height, width)."""
        reach = self.taps.shape[1] // 2
        kernels = torch.einsum("adt,bes,oits->oabide", self.taps, self.taps, self.weight)
        kernels = kernels.reshape(-1, self.in_channels, *kernels.shape[-2:])
        bias = None if self.bias is None else self.bias.repeat_interleave(4)
        return nn.functional.pixel_shuffle(nn.functional.conv2d(maps, kernels, bias, padding=reach), 2)


def shared_taps(kernel_size: int) -> Tensor:
    """Assignment of a kernel's taps to pixels of the small map along one axis: 0 or 1, (2, pixels, kernel_size).

    The first axis is the position, 0 or 1, of a large pixel within its small one. The second is the small pixel, from
    the leftmost to the rightmost that any tap reads.
    """
    padding = (kernel_size - 1) // 2
    reach = (padding + 1) // 2
    taps = torch.zeros(2, 2 * reach + 1, kernel_size)
    for position in range(2):
        for tap in range(kernel_size):
            taps[position, (position + tap - padding) // 2 + reach, tap] = 1
    return taps
