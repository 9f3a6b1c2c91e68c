import io
import itertools
import os
import warnings
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.images import ImageFolder
from datamodules.images.files import FoundFiles
from datamodules.images.formats import is_image_header
from datamodules.images.listing import list_images
from lab.errors import UserError
from tests.stand_in_data import png_bytes, write_image_folder, zip_folder


def ready(path, **options):
    data = ImageFolder(str(path), **{"image_size": 16, "val_fraction": 0.0, **options})
    data.prepare_data()
    data.setup("fit")
    return data


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


def test_single_class_folder_is_a_class(tmp_path):
    assert ready(write_image_folder(tmp_path / "set", 3, classes=("cat",))).class_names == ["cat"]


def test_current_folder_gives_its_class_its_own_name(tmp_path, monkeypatch):
    monkeypatch.chdir(write_image_folder(tmp_path / "cats", 3))
    assert ready(".").class_names == ["cats"]


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
    assert [len(part) for part in parts] == [21, 14, 5]  # by a hash of the names: about 27, 9 and 4
    assert sorted(itertools.chain(*parts)) == list(range(40))
    other = ready(tmp_path / "set", val_fraction=0.25, test_fraction=0.1, split_seed=1)
    assert other.test_images[:, 2, 0, 0].tolist() == parts[2]  # no seed of a run moves an image out of the test split
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


# Mistakes


def test_path_that_does_not_exist_is_answered_with_its_nearest_neighbour(tmp_path, monkeypatch):
    write_image_folder(tmp_path / "cats", 1)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError) as error:
        ready("cat", root=str(tmp_path / "store"))
    assert str(error.value) == (
        f"there is no folder or .zip of images at {tmp_path}/cat and {tmp_path}/store/cat: did you mean 'cats'?"
    )
    with pytest.raises(
        FileNotFoundError, match=r"there is no folder .* at /x/faces: give --data.path FOLDER or FILE.zip"
    ):
        ready("/x/faces")


def test_folder_without_images_says_what_was_looked_for(tmp_path):
    (tmp_path / "notes.txt").write_text("text")
    with pytest.raises(
        ValueError, match=r"no images in .*: looked for files in .* Pillow opens .*\.bmp, .*\.gif, .*, found 1 \.txt"
    ):
        ready(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no zip at all", None, "directory"])
def test_file_that_is_no_whole_zip_is_refused(tmp_path, content):
    zip_path = zip_folder(write_image_folder(tmp_path / "cats", 3), tmp_path / "cats.zip")
    whole = zip_path.read_bytes()
    broken = {None: whole[:-30], "directory": whole.replace(b"PK\1\2", b"PK\1\0")}
    zip_path.write_bytes(broken.get(content, content))
    with pytest.raises(ValueError, match=r"cats.zip \([\d,]+ bytes\) is neither a folder nor a complete .zip: copy it"):
        ready(zip_path)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("train/bird/notes.txt", "the class folder bird of .* holds no images: remove it, or fill it"),
        ("train/x.png", r"1 images of .* lie beside its class folders \(train/x.png\): move them into a class folder"),
        ("test/bird/x.png", "the class bird of .* has no images in train/, only in val/ or test/"),
        ("other/x.png", "has a folder train/ or training/, so other beside it must be one of the folders val/"),
        ("x.png", "has a folder train/ or training/, so x.png beside it must be one of the folders val/"),
    ],
)
def test_contradicting_folders_are_refused(tmp_path, extra, message, zipped):
    for part in ("train", "test"):
        write_image_folder(tmp_path / "set" / part, 4, classes=("cat", "dog"))
    (tmp_path / "set" / extra).parent.mkdir(exist_ok=True)
    (tmp_path / "set" / extra).write_bytes(b"text" if extra.endswith(".txt") else png_bytes(np.zeros((4, 4, 3))))
    with pytest.raises(ValueError, match=message):
        ready(zip_folder(tmp_path / "set", tmp_path / "set.zip") if zipped else tmp_path / "set")


def test_fractions_out_of_range_are_refused():
    with pytest.raises(ValueError, match=r"test_fraction is 1.5: use a number from 0 \(none\) to below 1"):
        ImageFolder("cats", test_fraction=1.5)


# Folders and files as other systems write them


@pytest.mark.parametrize(("train", "test"), [("training", "testing"), ("Train", "Test"), ("TRAINING", "Validation")])
def test_split_folders_have_several_names_in_any_case(tmp_path, train, test):
    for part in (train, test):
        write_image_folder(tmp_path / "set" / part, 4, classes=("cat", "dog"))
    listing = list_images(tmp_path / "set")
    assert listing.class_names == ("cat", "dog")
    assert {split: len(indices) for split, indices in listing.splits.items()} == {
        "train": 4,
        "val" if test == "Validation" else "test": 4,
    }


def test_links_to_a_folder_around_them_are_not_followed(tmp_path):
    path = write_image_folder(tmp_path / "set", 6, classes=("cat", "dog"))
    for link, target in (("cat/all", ".."), ("dog/all", ".."), ("cat/self", "."), ("dog/more", tmp_path / "other")):
        (path / link).symlink_to(target)
    write_image_folder(tmp_path / "other", 2)
    (path / "dog" / "gone.png").symlink_to("nowhere")
    listing = list_images(path)
    assert listing.labels.bincount().tolist() == [3, 5]  # a link to another place is followed
    assert listing.left_out == "3 links to a folder around them, 1 broken links"


def test_entries_of_a_zip_with_backslashes_lie_in_folders_and_count_once(tmp_path):
    names = [f"set\\{part}\\{name}\\{n}.png" for part in ("train", "test") for name in "ab" for n in range(2)]
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns of the second one
        for shade, name in enumerate(["./" + names[0].replace("\\", "/"), names[0], *names]):
            entry = zipfile.ZipInfo()
            entry.filename = name  # the constructor would cut it
            archive.writestr(entry, png_bytes(np.full((4, 4, 3), 10 * shade)))
        for name in (".", "set\\train\\"):  # no images
            entry = zipfile.ZipInfo()
            entry.filename = name
            archive.writestr(entry, b"")
    listing = list_images(tmp_path / "set.zip")
    assert listing.class_names == ("a", "b")
    assert {split: len(indices) for split, indices in listing.splits.items()} == {"train": 4, "test": 4}
    assert listing.left_out == "2 listed twice in the zip"
    data = ready(tmp_path / "set.zip")
    assert data.train_images[:, 0, 0, 0].tolist() == [20, 30, 40, 50]


def test_images_are_taken_whatever_their_ending(tmp_path):
    path = write_image_folder(tmp_path / "set", 5)
    jpeg = io.BytesIO()
    Image.new("RGB", (4, 4)).save(jpeg, "jpeg")
    for name in ("a.jfif", "b.JPE", "c", "d.jpg_large", "e.txt"):
        (path / name).write_bytes(jpeg.getvalue())

    assert len(list_images(path).files) == 10
    assert len(list_images(zip_folder(path, tmp_path / "set.zip")).files) == 10


def test_what_is_left_out_is_counted_by_its_reason(tmp_path):
    path = write_image_folder(tmp_path / "set", 2)
    for name in ("1.HEIC", "2.heic", "notes.txt", "README", ".x.png", "Thumbs.db", "@eaDir"):
        (path / name).write_bytes(b"II*\0 no image")
    expected = "3 hidden or of the system, 2 .heic (install pillow-heif to read them), 1 without an ending, 1 .txt"
    assert list_images(path).left_out == expected
    assert sorted(list_images(zip_folder(path, tmp_path / "set.zip")).left_out.split(", ")) == sorted(
        expected.split(", ")
    )
    (path / "0000.png").unlink()
    (path / "0001.png").unlink()
    with pytest.raises(UserError, match=r"found 3 hidden .*, 2 \.heic \(install pillow-heif to read them\)"):
        list_images(path)


@pytest.mark.parametrize(
    ("header", "is_image"),
    [
        (b"\xff\xd8\xff\xe0", True),
        (b"\x89PNG\r\n\x1a\n", True),
        (b"GIF89a", True),
        (b"RIFF\x10\0\0\0WEBPVP8 ", True),
        (b"RIFF\x10\0\0\0WAVEfmt ", False),
        (b"BM\x9a\0\0\0\0\0\0\0\x36\0\0\0\x28\0", True),
        (b"BMW is a maker of cars", False),
        (b"II*\0\x10\0\0\0CR\x02\0", False),  # a camera's raw file
        (b"", False),
    ],
)
def test_images_are_known_by_their_first_bytes(header, is_image):
    assert is_image_header(header) is is_image


def test_a_folder_that_may_not_be_read_is_an_error(tmp_path, monkeypatch):
    path = write_image_folder(tmp_path / "set", 4, classes=("cat", "dog"))

    def scan(folder):
        if str(folder).endswith("dog"):
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", scan)  # root may read everything
    with pytest.raises(UserError, match=r"the folder .*/dog cannot be read \(Permission denied\): change its perm"):
        list_images(path)


def test_names_that_are_not_utf_8_are_shown_with_replacement_characters(tmp_path):
    path = write_image_folder(tmp_path / "set", 6, classes=("cat", "dog", "owl"))
    os.rename(path / "dog", os.fsencode(path) + b"/caf\xe9")
    assert list_images(path).class_names == ("caf\ufffd", "cat", "owl")
    assert ready(path).train_labels.tolist() == [0, 0, 1, 1, 2, 2]
    os.rename(path / "owl", os.fsencode(path) + b"/caf\xe8")
    assert list_images(path).class_names == ("caf\\xe8", "caf\\xe9", "cat")  # they would look the same otherwise


# Splits, the line that says what was found, and the fingerprint


def test_an_added_file_leaves_all_others_in_their_splits(tmp_path):
    path = write_image_folder(tmp_path / "set", 60, classes=("cat", "dog"))

    def splits():
        data = ImageFolder(str(path), test_fraction=0.2, val_fraction=0.2)
        return {data.listing.names[i]: split for split, indices in data.split_indices.items() for i in indices.tolist()}

    before = splits()
    (path / "cat" / "0000a.png").write_bytes((path / "cat" / "0000.png").read_bytes())
    after = splits()
    assert after.pop("cat/0000a.png")
    assert after == before
    moved = tmp_path / "wrapped" / "inside"
    moved.parent.mkdir()
    (path / "cat" / "0000a.png").unlink()
    path.rename(moved)
    path = moved.parent
    assert splits() == before  # a folder around it changes nothing


def test_every_class_keeps_an_image_to_train_on(tmp_path):
    path = write_image_folder(tmp_path / "set", 5, classes=("a", "b", "c", "d"))
    data = ready(path, val_fraction=0.9, test_fraction=0.9)
    assert data.train_labels.unique().tolist() == [0, 1, 2, 3]


def test_validating_on_the_test_images_trains_on_all_others(tmp_path):
    path = write_image_folder(tmp_path / "set", 40)
    data = ready(path, val_fraction=0.5, test_fraction=0.25, validate_on_test=True)
    assert len(data.train_images) + len(data.test_images) == 40
    assert torch.equal(data.val_images, data.test_images)


def test_what_was_found_is_one_line(tmp_path, capsys):
    path = write_image_folder(tmp_path / "set", 5, classes=("cat", "dog"))
    (path / "notes.txt").write_text("text")
    ready(path)
    line = f"{path}: 5 images; 2 classes (cat 3, dog 2); train 5, val 0, test 0; left out: 1 .txt\n"
    assert capsys.readouterr().err == line
    data = ready(path, classes=["dog"])
    assert "1 class (dog 2); train 2, val 0" in data.found
    assert ready(path).found + "\n" == line


def test_the_fingerprint_follows_the_files_not_their_place_or_time(tmp_path):
    path = write_image_folder(tmp_path / "set", 5, classes=("cat", "dog"))
    first = ready(path).fingerprint
    assert {name: first[name] for name in ("train", "val", "test", "classes")} == {
        "train": 5, "val": 0, "test": 0, "classes": 2,
    }  # fmt: skip
    os.utime(path / "cat" / "0000.png", (10**9, 10**9))
    assert ready(zip_folder(path, tmp_path / "set.zip")).fingerprint == first
    (path / "cat" / "0000.png").rename(path / "cat" / "0000a.png")
    assert ready(path).fingerprint["hash"] != first["hash"]


def test_a_run_on_changed_images_says_what_changed(tmp_path, capsys):
    path = write_image_folder(tmp_path / "set", 5)
    state = ready(path).state_dict()
    write_image_folder(path, 6)
    capsys.readouterr()
    ready(path).load_state_dict(state)
    assert "the data is not the same as when the checkpoint was written: train 5 -> 6\n" in capsys.readouterr().err


def test_of_many_reasons_the_most_frequent_are_named():
    found = FoundFiles()
    found.left_out.update({f".{letter}": count for count, letter in enumerate("abcdefgh", start=1)})
    assert found.left_out_text() == "8 .h, 7 .g, 6 .f, 5 .e, 4 .d, 3 .c, 3 others"
    assert FoundFiles().left_out_text() == ""
