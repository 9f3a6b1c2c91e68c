import itertools
import os

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.images import ImageFolder
from tests.stand_in_data import png_bytes, write_image_folder, zip_folder


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


# What a folder means


@pytest.mark.parametrize("zipped", [False, True])
def test_images_without_class_folders_are_one_class_named_after_the_folder(tmp_path, zipped):
    path = write_image_folder(tmp_path / "cats", 12)
    data = ready(zip_folder(path, tmp_path / "cats.zip") if zipped else path)
    assert data.train_images.shape == (12, 3, 16, 16)
    assert data.class_names == ["cats"]
    assert data.train_labels.tolist() == [0] * 12
    assert data.train_images[:, 2].flatten(1).float().mean(1).tolist() == list(range(12))  # in the order of their names


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("wrapping", ["", "animals", "download/animals"])
def test_class_folders_are_the_labels_also_below_a_single_wrapping_folder(tmp_path, zipped, wrapping):
    write_image_folder(tmp_path / "source" / wrapping, 12, classes=("dog", "cat"))
    path = zip_folder(tmp_path / "source", tmp_path / "source.zip") if zipped else tmp_path / "source"
    data = ready(path)
    assert data.class_names == ["cat", "dog"]
    assert data.train_labels.tolist() == [0] * 6 + [1] * 6
    assert data.train_images[:, 2, 0, 0].tolist() == [1, 3, 5, 7, 9, 11, 0, 2, 4, 6, 8, 10]


@pytest.mark.parametrize("validation", ["val", "valid", "validation"])
def test_split_folders_are_kept_as_they_are(tmp_path, validation):
    for part, count in (("train", 6), (validation, 4), ("test", 2)):
        write_image_folder(tmp_path / "set" / part, count, classes=("cat", "dog"))
    data = ready(tmp_path / "set", val_fraction=0.5, test_fraction=0.5)
    assert [len(part) for part in (data.train_images, data.val_images, data.test_images)] == [6, 4, 2]
    assert data.test_labels.tolist() == [0, 1]


def test_without_split_folders_parts_are_drawn_and_disjoint(tmp_path):
    data = ready(write_image_folder(tmp_path / "set", 40), val_fraction=0.25, test_fraction=0.1)
    parts = [part[:, 2, 0, 0].tolist() for part in (data.train_images, data.val_images, data.test_images)]
    assert [len(part) for part in parts] == [27, 9, 4]
    assert sorted(itertools.chain(*parts)) == list(range(40))
    other = ready(tmp_path / "set", val_fraction=0.25, test_fraction=0.1, split_seed=1)
    assert other.test_images[:, 2, 0, 0].tolist() == parts[2]  # no seed of a run moves an image out of the test part
    assert other.val_images[:, 2, 0, 0].tolist() != parts[1]


def test_hidden_files_and_files_that_are_no_images_are_passed_over(tmp_path):
    path = write_image_folder(tmp_path / "set", 3)
    for name in (".hidden.png", "__MACOSX/0000.png", ".git/x.png", "README.txt", "Thumbs.db"):
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_bytes(b"no image")
    assert len(ready(path).train_images) == 3
    assert len(ready(zip_folder(path, tmp_path / "set.zip")).train_images) == 3


def test_path_may_be_relative_to_the_current_folder_or_the_data_root(tmp_path, monkeypatch):
    write_image_folder(tmp_path / "here" / "cats", 2)
    write_image_folder(tmp_path / "root" / "cats", 3)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_ROOT", "root")
    assert len(ready("cats").train_images) == 3
    monkeypatch.chdir(tmp_path / "here")
    assert len(ready("cats").train_images) == 2


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


def test_large_jpeg_decoded_with_less_detail_is_close_to_full_decoding(tmp_path):
    ramp = np.linspace(0, 255, 512).astype(np.uint8)
    pixels = np.stack(np.broadcast_arrays(ramp[:, None], ramp[None, :], np.uint8(90)), axis=-1)
    folder = write_one(tmp_path / "set" / "ramp.jpg", Image.fromarray(pixels), quality=95)
    expected = np.asarray(Image.fromarray(pixels).resize((16, 16), Image.Resampling.BICUBIC))
    assert (pixels_of(folder).permute(1, 2, 0).float() - torch.tensor(expected).float()).abs().max() < 4


# Cache


def decoded(monkeypatch):
    """Counts decoded images in the list that is returned."""
    from datamodules import image_cache

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


def rewrite(path):
    (path / "0000.png").write_bytes((path / "0001.png").read_bytes())


@pytest.mark.parametrize(
    ("change", "options"),
    [
        (rewrite, {}),
        (lambda path: os.rename(path / "0000.png", path / "9999.png"), {}),
        (lambda path: (path / "0004.png").unlink(), {}),
        (lambda path: None, {"channels": 1}),
        (lambda path: None, {"image_size": 8}),
    ],
)
def test_any_change_of_files_or_options_decodes_anew(tmp_path, monkeypatch, change, options):
    path = write_image_folder(tmp_path / "cats", 5)
    ready(path)
    change(path)
    counted = decoded(monkeypatch)
    images = ready(path, **options).train_images
    assert len(counted) == len(images) == len(os.listdir(path))


@pytest.mark.parametrize("left_over", [0, 1, 100, 0.5, 0.99])
def test_truncated_cache_is_noticed_said_and_rebuilt(tmp_path, capsys, own_cache, left_over):
    path = write_image_folder(tmp_path / "cats", 5)
    images = ready(path).train_images.clone()
    (cache,) = own_cache.iterdir()
    content = cache.read_bytes()
    cache.unlink()  # the mapped file itself must not shrink
    cache.write_bytes(content[: int(left_over * len(content)) if isinstance(left_over, float) else left_over])
    assert torch.equal(ready(path).train_images, images)
    assert capsys.readouterr().err == f"the cache {cache} is damaged: decoding {path} again\n"
    assert len(cache.read_bytes()) == len(content)


def test_cache_that_cannot_be_written_is_said_and_not_fatal(tmp_path, capsys):
    (tmp_path / "file").write_text("no folder")
    data = ready(write_image_folder(tmp_path / "cats", 5), cache_dir=str(tmp_path / "file"))
    assert len(data.train_images) == 5
    assert "the decoded images could not be kept in" in capsys.readouterr().err


# Mistakes


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


def test_path_that_does_not_exist_is_answered_with_its_nearest_neighbour(tmp_path, monkeypatch):
    write_image_folder(tmp_path / "cats", 1)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError) as error:
        ready("cat", root=str(tmp_path / "root"))
    assert str(error.value) == (
        f"there is no folder or .zip of images at {tmp_path}/cat and {tmp_path}/root/cat: did you mean 'cats'?"
    )
    with pytest.raises(
        FileNotFoundError, match=r"there is no folder .* at /x/faces: give --data.path FOLDER or FILE.zip"
    ):
        ready("/x/faces")


def test_folder_without_images_says_what_was_looked_for(tmp_path):
    (tmp_path / "notes.txt").write_text("text")
    with pytest.raises(ValueError, match=r"no images in .*: looked for files ending in .bmp, .gif, .*, found 1 others"):
        ready(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no zip at all", None])
def test_file_that_is_no_whole_zip_is_refused(tmp_path, content):
    zip_path = zip_folder(write_image_folder(tmp_path / "cats", 3), tmp_path / "cats.zip")
    zip_path.write_bytes(zip_path.read_bytes()[:-30] if content is None else content)
    with pytest.raises(ValueError, match=r"cats.zip \([\d,]+ bytes\) is neither a folder nor a complete .zip: copy it"):
        ready(zip_path)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("train/bird/notes.txt", "the class folder bird of .* holds no images: remove it, or fill it"),
        ("train/x.png", r"1 images of .* lie beside its class folders \(train/x.png\): move them into a class folder"),
        ("test/bird/x.png", "the class bird of .* has no images in train/, only in val/ or test/"),
        ("other/x.png", "has a folder train/, so other beside it must be val/ or test/"),
        ("x.png", "has a folder train/, so x.png beside it must be val/ or test/"),
    ],
)
def test_contradicting_folders_are_refused(tmp_path, extra, message, zipped):
    for part in ("train", "test"):
        write_image_folder(tmp_path / "set" / part, 4, classes=("cat", "dog"))
    (tmp_path / "set" / extra).parent.mkdir(exist_ok=True)
    (tmp_path / "set" / extra).write_bytes(png_bytes(np.zeros((4, 4, 3))))
    with pytest.raises(ValueError, match=message):
        ready(zip_folder(tmp_path / "set", tmp_path / "set.zip") if zipped else tmp_path / "set")


def test_fractions_out_of_range_are_refused():
    with pytest.raises(ValueError, match=r"test_fraction is 1.5: use a number from 0 \(none\) to below 1"):
        ImageFolder("cats", test_fraction=1.5)
