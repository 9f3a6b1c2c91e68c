"""The pictures of the report page: their sizes, their choice and their headings."""

import base64
import io

from PIL import Image

from lab.report.album import heading, spaced
from lab.report.pictures import block_size, embed, largest_side


def test_enlarged_pixels_become_single_again(tmp_path):
    small = Image.effect_noise((12, 8), 90).convert("RGB")
    small.resize((60, 40), Image.Resampling.NEAREST).save(tmp_path / "x.png")
    picture = embed(tmp_path / "x.png", 480)
    assert (picture.width, picture.height, picture.sharp) == (12, 8, True)
    assert picture.uri.startswith("data:image/png;base64,")


def test_large_pictures_are_made_smaller(tmp_path):
    Image.effect_noise((900, 300), 90).save(tmp_path / "x.png")
    picture = embed(tmp_path / "x.png", 480)
    assert (picture.width, picture.height, picture.sharp) == (480, 160, False)
    assert picture.uri.startswith("data:image/webp;base64,")
    assert len(picture.uri) < 60_000


def test_block_size_of_unequal_pixels_is_one():
    import numpy as np

    assert block_size(np.arange(48, dtype=np.uint8).reshape(4, 4, 3)) == 1
    assert block_size(np.full((6, 12, 3), 7, dtype=np.uint8)) == 6


def test_more_pictures_are_smaller_ones():
    assert [largest_side(count) for count in (1, 24, 25, 80, 200, 1000)] == [720, 720, 480, 480, 320, 220]


def test_times_are_evenly_spread_with_first_and_last():
    assert spaced(list(range(0, 101, 10)), 5) == [0, 20, 50, 70, 100]
    assert spaced([3, 7], 5) == [3, 7]
    assert spaced([0, 200, 400, 500, 600, 800, 1000], 5) == [0, 200, 500, 800, 1000]
    assert spaced([0, 1, 2, 3, 4, 5, 100], 5) == [0, 5, 100]  # nothing is shown twice


def test_headings_of_pictures():
    names = ("grid", "alarm-mode_collapse", "confusion_matrix", "val_confusion", "something_new")
    assert [heading(name) for name in names] == [
        "Samples",
        "At the alarm: mode collapse",
        "Confusion matrices",
        "Confusion matrices: val confusion",
        "Something new",
    ]


def test_grey_pictures_have_one_channel_and_coloured_ones_keep_their_colours(tmp_path):
    for name, colour, mode in (("grey", (90, 90, 90), "L"), ("red", (90, 0, 0), "RGB"), ("blue", (90, 90, 91), "RGB")):
        Image.new("RGB", (7, 5), colour).save(tmp_path / f"{name}.png")
        with Image.open(
            io.BytesIO(base64.b64decode(embed(tmp_path / f"{name}.png", 480).uri.partition(",")[2]))
        ) as png:
            assert (png.mode, png.size, png.convert("RGB").getpixel((0, 0))) == (mode, (7, 5), colour)
