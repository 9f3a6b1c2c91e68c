import itertools

import numpy as np
import pytest

from datamodules.images import ImageFolder
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
        ValueError, match=r"no images in .*: looked for files ending in .bmp, .gif, .*, found 1 other files"
    ):
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
