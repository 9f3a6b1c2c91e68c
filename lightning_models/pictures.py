"""Images as pictures to look at: grids and strips, enlarged so that a person can see 8 x 8 pixels."""

import torch
from PIL import Image
from torch import Tensor
from torchvision.utils import make_grid

SMALLEST_WIDTH = 640  # of a picture, in pixels; smaller ones are enlarged by a whole factor
LARGEST_FACTOR = 10


def to_picture(images: Tensor, columns: int, smallest_width: int = SMALLEST_WIDTH) -> Image.Image:
    """A grid of `images` (count, channels, height, width) in [0, 1], `columns` in a row, as an RGB picture."""
    padding = max(1, images.shape[-1] // 16)
    width = columns * (images.shape[-1] + padding) + padding
    factor = min(max(1, smallest_width // width), LARGEST_FACTOR)
    enlarged = images.clamp(0, 1).repeat_interleave(factor, dim=-1).repeat_interleave(factor, dim=-2)
    grid = make_grid(enlarged, nrow=columns, padding=padding * factor, pad_value=0.5)
    return Image.fromarray((grid * 255).round().to(torch.uint8).permute(1, 2, 0).numpy())
