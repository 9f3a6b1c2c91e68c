"""Pictures as data URIs, small enough for a page of sixty trials."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from lab.errors import UserError

LARGEST_BLOCK = 10  # pixels to which one pixel of a small image was enlarged, see drawing.pictures.to_picture
SHARP_BYTES = 60_000  # up to which a picture is embedded losslessly
QUALITY = 82  # of WebP


@dataclass(frozen=True)
class Picture:
    """An embedded picture with its size in pixels; `sharp` if it was enlarged, and is to be shown as blocks."""

    uri: str
    width: int
    height: int
    sharp: bool


def largest_side(pictures: int) -> int:
    """The longest side, in pixels, of each picture in a page of so many."""
    return next(side for limit, side in ((24, 720), (80, 480), (200, 320), (10**9, 220)) if pictures <= limit)


def embed(path: Path, side: int) -> Picture:
    """The picture in `path`, at most `side` pixels wide and high.

    A small image that was enlarged is stored at its own size, losslessly; large pictures become WebP.

    Raises:
        UserError: if the file is not a picture.
    """
    try:
        with Image.open(path) as opened:
            image = opened.convert("RGB")
    except (UnidentifiedImageError, OSError, SyntaxError) as error:  # whichever Pillow raises
        raise UserError(f"{path} is not a picture ({error}): remove it, then run report again") from None
    block = block_size(np.asarray(image))
    if block > 1:
        image = image.resize((image.width // block, image.height // block), Image.Resampling.NEAREST)
    if is_grey(image):
        image = image.convert("L")
    if max(image.size) <= side:
        data = encoded(image, "png", optimize=True)
        if len(data) <= SHARP_BYTES:
            return Picture(uri("png", data), *image.size, sharp=block > 1)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return Picture(uri("webp", encoded(image.convert("RGB"), "webp", quality=QUALITY)), *image.size, sharp=False)


def block_size(pixels: "np.typing.NDArray[np.uint8]") -> int:
    """The largest k such that the picture (height, width, 3) consists of k x k blocks of equal pixels."""
    height, width = pixels.shape[:2]
    for k in range(min(LARGEST_BLOCK, height, width), 1, -1):
        if height % k == 0 and width % k == 0:
            blocks = pixels.reshape(height // k, k, width // k, k, -1)
            if (blocks == blocks[:, :1, :, :1]).all():
                return k
    return 1


def is_grey(image: Image.Image) -> bool:
    """Whether the three channels are equal."""
    pixels = np.asarray(image)
    return bool((pixels == pixels[..., :1]).all())


def encoded(image: Image.Image, kind: str, **options: bool | int) -> bytes:
    """The content of an image file of this format."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def uri(kind: str, data: bytes) -> str:
    """A data URI."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
