import pytest
from PIL import features

from datamodules.images import formats
from datamodules.images.formats import ending_of, image_endings, is_image_header, missing_plugin

AVIF = b"\0\0\0\x20ftypavif\0\0\0\0"


def test_endings_are_those_of_pictures_that_pillow_decodes():
    assert {
        ".png",
        ".jpg",
        ".jpeg",
        ".jfif",
        ".gif",
        ".bmp",
        ".webp",
        ".tif",
        ".tiff",
        ".pgm",
        ".ppm",
    } <= image_endings()
    assert not {".pdf", ".eps", ".mpg", ".h5", ".wmf", ".grib", ".fits", ".bufr", ".palm"} & image_endings()


@pytest.mark.parametrize(("name", "ending"), [("a/b.PNG", ".png"), ("a.b/c", ""), ("x.tar.gz", ".gz"), ("", "")])
def test_endings_are_in_lower_case(name, ending):
    assert ending_of(name) == ending


def test_avif_and_heic_depend_on_a_plugin(monkeypatch):
    assert (".avif" in image_endings()) == features.check("avif")
    for known in (frozenset({".avif", ".heic"}), frozenset({".png"})):
        monkeypatch.setattr(formats, "image_endings", lambda known=known: known)
        has_plugin = ".avif" in known
        assert is_image_header(AVIF) is has_plugin
        assert missing_plugin(".avif") == (None if has_plugin else "pillow-avif-plugin")
        assert missing_plugin(".heic") == (None if has_plugin else "pillow-heif")
        assert missing_plugin(".txt") is None
