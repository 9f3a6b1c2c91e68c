import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.images import MNIST, ImageFolder
from datamodules.images.predicted import read_images_to_predict
from lab.errors import UserError
from tests.stand_in_data import write_image_folder, zip_folder


def test_images_of_folders_zips_and_single_files_are_read_in_order(tmp_path):
    folder = write_image_folder(tmp_path / "set", 4, 16, classes=("b", "a"))
    (folder / "notes.txt").write_text("text")
    zipped = zip_folder(folder, tmp_path / "set.zip")
    single = folder / "b" / "0000.png"
    inside = ["a/0001.png", "a/0003.png", "b/0000.png", "b/0002.png"]
    read = read_images_to_predict(str(folder), 16, 3)
    assert read.names == read_images_to_predict(str(zipped), 16, 3).names == inside
    assert read.images[:, 2, 0, 0].tolist() == [1, 3, 0, 2]
    assert read_images_to_predict(str(single), 16, 3).names == ["0000.png"]
    several = read_images_to_predict([str(single), f"{folder}/"], 8, 1)
    assert several.names == ["0000.png", *inside]
    assert several.images.shape == (5, 1, 8, 8)
    assert torch.equal(several.images[0], several.images[3])
    twice = read_images_to_predict([str(single), f"{folder}/b/", str(folder / "a")], 8, 1)
    assert twice.names == [
        f"{folder}/{name}" for name in ("b/0000.png", "b/0000.png", "b/0002.png", "a/0001.png", "a/0003.png")
    ]


def test_home_folder_and_names_that_are_not_utf_8(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    Image.new("RGB", (4, 4)).save(tmp_path / "x.png")
    (tmp_path / "x.png").rename(bytes(tmp_path / "x").decode() + "caf\udce9.png")
    assert read_images_to_predict("~", 4, 3).names == ["xcaf\ufffd.png"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone", r"--data.predict_path .*gone: there is no such folder, .zip or image"),
        ("empty", r"empty holds no images; left out: 1 .txt"),
        ("empty/notes.txt", r"1 of 1 images in .*empty cannot be read; repair or remove them:\n  notes.txt: "),
        ("broken.zip", r"broken.zip .* is neither a folder nor a complete .zip"),
    ],
)
def test_what_cannot_be_predicted_is_named(tmp_path, name, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("text")
    (tmp_path / "broken.zip").write_text("text")
    with pytest.raises(UserError, match=message):
        read_images_to_predict(str(tmp_path / name), 4, 3)
    with pytest.raises(UserError, match="is an empty list"):
        read_images_to_predict([], 4, 3)


def test_prediction_needs_no_data_set_only_images_of_any_size(tmp_path):
    path = write_image_folder(tmp_path / "own", 5, 40)
    data = MNIST(root=str(tmp_path / "nowhere"), download=False, predict_path=str(path), batch_size=2)
    data.setup("predict")
    batches = list(data.predict_dataloader())
    assert [tuple(images.shape) for images, _ in batches] == [(2, 1, 28, 28), (2, 1, 28, 28), (1, 1, 28, 28)]
    assert data.predict_names == [f"{number:04}.png" for number in range(5)]


def test_a_folders_classes_come_from_the_checkpoint_where_images_are_predicted(tmp_path):
    own = write_image_folder(tmp_path / "own", 3, 16)
    data = ImageFolder("gone", predict_path=str(own), image_size=8, class_names=["cat", "dog"])
    assert data.class_names == ["cat", "dog"]
    data.prepare_data()
    data.setup("predict")
    images, labels = next(iter(data.predict_dataloader()))
    assert images.shape == (3, 3, 8, 8)
    assert labels.tolist() == [0, 0, 0]
    there = write_image_folder(tmp_path / "set", 4, classes=("x", "y"))
    assert ImageFolder(str(there), class_names=["cat", "dog"]).class_names == ["x", "y"]  # seen to differ


def test_an_animated_file_is_one_image_and_that_is_said(tmp_path, capsys):
    frames = [Image.fromarray(np.full((8, 8), shade, dtype=np.uint8)) for shade in (0, 100, 200)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    frames[1].save(tmp_path / "b.gif")
    images = read_images_to_predict(str(tmp_path), 8, 1).images
    assert images[:, 0, 0, 0].tolist() == [0, 100]
    assert "of 1 files with several pictures, such as a.gif, the first picture is used" in capsys.readouterr().err
