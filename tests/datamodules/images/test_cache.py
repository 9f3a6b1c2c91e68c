import os

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.images import ImageFolder
from datamodules.images import cache as image_cache
from tests.stand_in_data import write_image_folder, zip_folder


def ready(path, **options):
    data = ImageFolder(str(path), **{"image_size": 16, "val_fraction": 0.0, **options})
    data.prepare_data()
    data.setup("fit")
    return data


def write_one(path, image, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path.parent


def pixels_of(path, **options):
    """The only image of a folder, (channels, size, size)."""
    (image,) = ready(path, **options).train_images
    return image


# Decoding


def test_wide_image_is_scaled_by_its_short_side_and_cut_in_the_middle(tmp_path):
    stripes = np.zeros((20, 60, 3), dtype=np.uint8)
    stripes[:, 20:40] = 200  # the central square
    folder = write_one(tmp_path / "set" / "wide.png", Image.fromarray(stripes))
    assert torch.equal(pixels_of(folder, image_size=20), torch.full((3, 20, 20), 200, dtype=torch.uint8))
    assert pixels_of(folder, image_size=10)[:, :, 2:8].unique().tolist() == [200]


def test_image_of_the_right_size_is_not_changed(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    folder = write_one(tmp_path / "set" / "noise.png", Image.fromarray(pixels))
    assert pixels_of(folder).permute(1, 2, 0).tolist() == pixels.tolist()


def test_scaling_down_averages(tmp_path):
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    folder = write_one(tmp_path / "set" / "board.png", Image.fromarray(board))
    small = pixels_of(folder, image_size=8)[:, 1:-1, 1:-1]
    assert (small.float() - 127.5).abs().max() < 3  # without antialiasing it would be black or white


def test_photo_is_turned_upright_by_its_exif_orientation(tmp_path):
    pixels = np.zeros((16, 16, 3), dtype=np.uint8)
    pixels[:, :8] = 255  # the left half is white; turned right by 90 degrees this is the upper half
    exif = Image.Exif()
    exif[0x0112] = 6  # "to be shown turned right by 90 degrees"
    folder = write_one(tmp_path / "set" / "turned.png", Image.fromarray(pixels), exif=exif)
    upright = pixels_of(folder)
    assert upright[:, :8].unique().tolist() == [255]
    assert upright[:, 8:].unique().tolist() == [0]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_parts_become_white(tmp_path, mode):
    black = Image.new("RGBA", (16, 16), (0, 0, 0, 255))
    black.paste((0, 0, 0, 0), (0, 0, 8, 16))  # the left half is black, too, but transparent
    folder = write_one(tmp_path / "set" / "image.png", black.convert(mode))
    assert pixels_of(folder)[:, :, :8].unique().tolist() == [255]
    assert pixels_of(folder)[:, :, 8:].unique().tolist() == [0]


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "RGB"])
@pytest.mark.parametrize("channels", [1, 3])
def test_gray_and_colour_images_of_every_mode_get_the_wanted_channels(tmp_path, mode, channels):
    suffix = ".jpg" if mode == "CMYK" else ".png"
    folder = write_one(tmp_path / "set" / f"white{suffix}", Image.new("RGB", (20, 20), "white").convert(mode))
    image = pixels_of(folder, channels=channels)
    assert image.shape == (channels, 16, 16)
    assert image.unique().tolist() == [255]


def test_large_jpeg_decoded_with_less_detail_keeps_all_that_scaling_keeps(tmp_path):
    wave = 127.5 + 100 * np.sin(np.arange(512) * 2 * np.pi / 16)  # four pixels long after scaling
    pixels = np.add.outer(0 * wave, wave).astype(np.uint8)
    folder = write_one(tmp_path / "set" / "wave.jpg", Image.fromarray(pixels), quality=95)
    expected = np.asarray(Image.fromarray(pixels).resize((128, 128), Image.Resampling.BICUBIC))
    difference = pixels_of(folder, channels=1, image_size=128).squeeze(0).float() - torch.tensor(expected).float()
    assert expected.std() > 60
    assert difference.abs().max() < 15


# Cache


def decoded(monkeypatch):
    """Counts decoded images in the list that is returned."""
    counted, decode = [], image_cache.decode_image
    monkeypatch.setattr(image_cache, "decode_image", lambda *args: counted.append(1) or decode(*args))
    return counted


@pytest.mark.parametrize("zipped", [False, True])
def test_images_are_decoded_once(tmp_path, monkeypatch, own_cache, zipped):
    path = write_image_folder(tmp_path / "cats", 5)
    path = zip_folder(path, tmp_path / "cats.zip") if zipped else path
    counted = decoded(monkeypatch)
    first = ready(path).train_images
    assert len(counted) == 5
    assert torch.equal(ready(path).train_images, first)
    assert len(counted) == 5
    assert [name[:10] for name in os.listdir(own_cache)] == ["cats-16px-"]


def test_cache_dir_is_used(tmp_path, own_cache):
    ready(write_image_folder(tmp_path / "cats", 5), cache_dir=str(tmp_path / "fast_disk"))
    assert len(os.listdir(tmp_path / "fast_disk")) == 1
    assert not own_cache.exists()


@pytest.mark.parametrize(
    ("change", "options"),
    [
        (lambda path: os.utime(path / "0000.png", (1e9, 1e9)), {}),  # the time of the last change
        (lambda path: os.rename(path / "0000.png", path / "9999.png"), {}),
        (lambda path: (path / "0004.png").unlink(), {}),
        (lambda path: None, {"channels": 1}),
        (lambda path: None, {"image_size": 8}),
    ],
)
def test_any_change_of_files_or_options_decodes_anew(tmp_path, monkeypatch, capsys, change, options):
    path = write_image_folder(tmp_path / "cats", 5)
    ready(path)
    change(path)
    counted = decoded(monkeypatch)
    images = ready(path, **options).train_images
    assert len(counted) == len(images) == len(os.listdir(path))
    assert "damaged" not in capsys.readouterr().err  # the old cache is not taken for a damaged one


def test_changed_image_in_a_zip_decodes_anew(tmp_path):
    for value in (10, 20):
        folder = write_one(tmp_path / "set" / "gray.bmp", Image.new("L", (16, 16), value))  # equally long files
        assert ready(zip_folder(folder, tmp_path / "set.zip")).train_images.unique().tolist() == [value]


@pytest.mark.parametrize("left_over", [0, 1, 100, 0.5, 0.99])
def test_truncated_cache_is_noticed_said_and_rebuilt(tmp_path, capsys, own_cache, left_over):
    path = write_image_folder(tmp_path / "cats", 5)
    images = ready(path).train_images.clone()
    (cache,) = own_cache.iterdir()
    content = cache.read_bytes()
    cache.unlink()  # the mapped file itself must not shrink
    cache.write_bytes(content[: int(left_over * len(content)) if isinstance(left_over, float) else left_over])
    capsys.readouterr()
    assert torch.equal(ready(path).train_images, images)
    assert capsys.readouterr().err.startswith(f"the cache {cache} is damaged: decoding {path} again\n")
    assert len(cache.read_bytes()) == len(content)


def test_cache_that_cannot_be_written_is_said_and_not_fatal(tmp_path, capsys):
    (tmp_path / "file").write_text("no folder")
    data = ready(write_image_folder(tmp_path / "cats", 5), cache_dir=str(tmp_path / "file"))
    assert len(data.train_images) == 5
    assert "the decoded images could not be cached in" in capsys.readouterr().err


# Broken images


def test_all_broken_images_are_named_and_nothing_is_cached(tmp_path, own_cache):
    path = write_image_folder(tmp_path / "cats", 20)
    for index in range(12):
        (path / f"{index:04}.png").write_bytes(b"" if index == 0 else (path / f"{index:04}.png").read_bytes()[:150])
    with pytest.raises(ValueError, match=r"12 of 20 images in .*cats cannot be read; repair or remove them") as error:
        ready(path)
    lines = str(error.value).splitlines()[1:]
    assert [line.split(":")[0].strip() for line in lines[:-1]] == [f"{index:04}.png" for index in range(10)]
    assert "cannot identify image file" in lines[0]
    assert "truncated" in lines[1]
    assert lines[-1].strip() == "and 2 more"
    assert not own_cache.exists()


def test_image_of_sixteen_bits_is_not_silently_clipped(tmp_path):
    folder = write_one(tmp_path / "set" / "deep.png", Image.fromarray(np.full((16, 16), 9000, dtype=np.uint16)))
    with pytest.raises(
        ValueError, match=r"deep.png: has more than 8 bits a channel \(mode I;16\): convert it to 8 bits"
    ):
        ready(folder)


def test_damaged_entry_of_a_zip_is_named(tmp_path):
    zip_path = zip_folder(write_image_folder(tmp_path / "cats", 3), tmp_path / "cats.zip")
    content = bytearray(zip_path.read_bytes())
    content[content.index(b"IDAT") + 20] ^= 255
    zip_path.write_bytes(content)
    with pytest.raises(ValueError, match=r"1 of 3 images in .*cats.zip cannot be read(.|\n)*0000.png: Bad CRC-32"):
        ready(zip_path)


# Splits


def test_splits_lie_behind_each_other_in_one_mapped_file(tmp_path):
    folder = write_image_folder(tmp_path / "set", count=20)
    data = ready(folder, val_fraction=0.3, test_fraction=0.2)
    parts = (data.train_images, data.val_images, data.test_images)
    assert [len(part) for part in parts] == list(data.split_sizes.values())
    assert min(map(len, parts)) > 0
    assert len({part.untyped_storage().data_ptr() for part in parts}) == 1  # nothing was copied


def test_another_split_is_made_from_the_cache_of_the_first(tmp_path, monkeypatch):
    folder = write_image_folder(tmp_path / "set", count=20)
    fractions = ({"val_fraction": 0.3}, {}, {"val_fraction": 0.3, "split_seed": 5})
    expected = [
        sorted(ready(folder, cache_dir=tmp_path / str(n), **f).train_images.tolist()) for n, f in enumerate(fractions)
    ]
    ready(folder, cache_dir=tmp_path / "all", **fractions[0])
    monkeypatch.setattr(image_cache, "decode_images", lambda *args: pytest.fail("decoded again"))
    for options, images in zip(fractions, expected, strict=True):
        data = ready(folder, cache_dir=tmp_path / "all", **options)
        assert sorted(data.train_images.tolist()) == images
        of_labels = ready(folder, cache_dir=tmp_path / "all", **options)
        assert torch.equal(of_labels.train_labels, data.train_labels)
    assert len(list((tmp_path / "all").glob("*.pt"))) == 3
