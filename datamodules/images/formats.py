"""Which files are images that Pillow can open, told by their ending or, for any other ending, by their first bytes."""

import importlib
from functools import cache
from importlib.util import find_spec
from pathlib import PurePosixPath

from PIL import Image

# Pillow "opens" these, but has no decoder of its own for their pixels, or they are no pictures
NO_IMAGES = {"BUFR", "EPS", "FITS", "GRIB", "HDF5", "MPEG", "PDF", "WMF"}
PLUGINS = {  # ending -> package that lets Pillow open it
    ".heic": "pillow-heif",
    ".heif": "pillow-heif",
    ".hif": "pillow-heif",
    ".avif": "pillow-avif-plugin",
    ".jxl": "pillow-jxl-plugin",
}
HEADER_BYTES = 16


@cache
def image_endings() -> frozenset[str]:
    """The endings that Pillow opens, in lower case, with the plugins that are installed."""
    if find_spec("pillow_heif") is not None:
        importlib.import_module("pillow_heif").register_heif_opener()
    if find_spec("pillow_avif") is not None:
        importlib.import_module("pillow_avif")  # registers itself
    if find_spec("pillow_jxl") is not None:
        importlib.import_module("pillow_jxl")
    Image.init()
    known = Image.registered_extensions()
    return frozenset(ending for ending, name in known.items() if name in Image.OPEN and name not in NO_IMAGES)


def ending_of(name: str) -> str:
    """The ending of a file's name in lower case, with its dot; empty if it has none."""
    return PurePosixPath(name).suffix.lower()


def missing_plugin(ending: str) -> str | None:
    """The package that has to be installed to open files with this ending; None if that is not what is missing."""
    return None if ending in image_endings() else PLUGINS.get(ending)


def is_image_header(header: bytes) -> bool:
    """Whether a file that begins with `header` is a JPEG, PNG, GIF, WebP, BMP or, where Pillow opens it, AVIF.

    TIFF is left out: raw files of cameras begin like one and hold no picture that Pillow could decode.
    """
    if header.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a")):
        return True
    if header.startswith(b"BM") and header[6:10] == bytes(4) and len(header) > 14:
        return header[14] in (12, 40, 52, 56, 64, 108, 124)  # the sizes of the header that follows
    if header[4:12] in (b"ftypavif", b"ftypavis"):
        return ".avif" in image_endings()
    return header[:4] == b"RIFF" and header[8:12] == b"WEBP"
