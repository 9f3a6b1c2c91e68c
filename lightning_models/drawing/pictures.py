"""Images as pictures to look at: grids and strips, enlarged so that a person can see 8 x 8 pixels."""

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torchvision.utils import make_grid

SMALLEST_WIDTH = 640  # of a picture, in pixels; smaller ones are enlarged by a whole factor
LARGEST_FACTOR = 10
SMALLEST_SIDE = 16  # smaller images are enlarged smoothly: as blocks, nobody recognises 8 x 8 pixels
BACKGROUND = 0.5


def to_picture(images: Tensor, columns: int, row_labels: Sequence[str] = ()) -> Image.Image:
    """A grid of `images` (count, channels, height, width) in [0, 1], `columns` in a row, as an RGB picture.

    `row_labels`, where there are any, stand on the left of the rows.
    """
    padding = max(1, images.shape[-1] // 16)
    width = columns * (images.shape[-1] + padding) + padding
    factor = min(max(1, SMALLEST_WIDTH // width), LARGEST_FACTOR)
    grid = make_grid(enlarge(images, factor), nrow=columns, padding=padding * factor, pad_value=BACKGROUND)
    picture = Image.fromarray((grid * 255).round().to(torch.uint8).permute(1, 2, 0).numpy())
    return with_labels(picture, row_labels, padding * factor) if row_labels else picture


def save_animation(frames: Sequence[Image.Image], path: Path, seconds: float = 4.0) -> None:
    """Write pictures of one size as an endless GIF of about `seconds`; the last one stays for a second."""
    duration = max(40, round(1000 * seconds / len(frames)))  # milliseconds; many viewers show nothing faster
    durations = [duration] * (len(frames) - 1) + [duration + 1000]
    frames[0].save(path, format="GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0)


def enlarge(images: Tensor, factor: int) -> Tensor:
    """`images` in [0, 1], `factor` times as high and wide."""
    if factor > 1 and max(images.shape[-2:]) < SMALLEST_SIDE:
        images = torch.nn.functional.interpolate(images, scale_factor=factor, mode="bicubic")
    else:
        images = images.repeat_interleave(factor, dim=-1).repeat_interleave(factor, dim=-2)
    return images.clamp(0, 1)


def with_labels(picture: Image.Image, labels: Sequence[str], padding: int) -> Image.Image:
    """`picture` with a margin that holds a label for each of its rows, which are equally high."""
    font = ImageFont.load_default(size=14)
    margin = max(int(font.getlength(label)) for label in labels) + 2 * max(padding, 6)
    labelled = Image.new("RGB", (picture.width + margin, picture.height), (round(BACKGROUND * 255),) * 3)
    labelled.paste(picture, (margin, 0))
    draw, row_height = ImageDraw.Draw(labelled), (picture.height - padding) / len(labels)
    for row, label in enumerate(labels):
        middle = padding + (row + 0.5) * row_height - padding / 2
        draw.text((margin - max(padding, 6), middle), label, fill="white", font=font, anchor="rm")
    return labelled
