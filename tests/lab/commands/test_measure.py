"""measure: two sets of images, wherever they are."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

import cli
from datamodules.images.unscaled import read_images
from tests.lab.commands.test_sample import complaint
from tests.tiny_runs import checkpoint_of


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """The same 30 gray images of 12 x 10 pixels in a folder, a .zip and a .npz; others in `noise`; empty folders."""
    root = tmp_path_factory.mktemp("places")
    drawn = np.random.default_rng(0).integers(0, 256, (2, 30, 10, 12, 1), dtype=np.uint8)
    for name, images in zip(
        ("folder/a", "noise"), drawn // np.array([2, 1], np.uint8)[:, None, None, None, None], strict=True
    ):
        (root / name).mkdir(parents=True)
        for number, image in enumerate(images):
            Image.fromarray(image[:, :, 0]).save(root / name / f"{number:03d}.png")
    shutil.make_archive(str(root / "folder"), "zip", root / "folder")
    np.savez(root / "folder.npz", drawn[0] // 2)
    (root / "empty").mkdir()
    return root


def measured(capsys, *args):
    cli.main(["measure", *map(str, args), "--json"])
    return json.loads(capsys.readouterr().out)


def test_a_folder_a_zip_and_an_array_are_the_same_images(places, capsys):
    images = read_images(places / "folder")
    assert (images.shape, images.dtype) == ((30, 1, 10, 12), torch.uint8)
    assert torch.equal(read_images(places / "folder.zip"), images)
    assert torch.equal(read_images(places / "folder.npz"), images)
    for place in ("folder.zip", "folder.npz"):
        values = measured(capsys, places / place, places / "folder")["values"]
        assert values["fid"] == pytest.approx(0, abs=1e-4)
        assert values["precision"] == values["recall"] == values["coverage"] == 1


def test_all_measures_of_other_images(places, capsys):
    found = measured(capsys, places / "noise", places / "folder", "--network", "random")
    assert (found["network"], found["n_fake"], found["n_real"]) == ("random", 30, 30)
    assert {"fid", "kid", "precision", "recall", "density", "coverage", "diversity"} <= set(found["values"])
    assert found["values"]["fid"] > 1
    assert found["values"]["coverage"] == 0
    cli.main(["measure", str(places / "noise"), str(places / "folder"), "--network", "random"])
    printed = capsys.readouterr().out
    assert printed.startswith(
        f"images       {places / 'noise'}\nreference    {places / 'folder'}\nquality      30 samples"
    )
    assert "  fid_random " in printed


def test_samples_of_a_checkpoint_are_those_that_sample_writes(gan_run, tmp_path, capsys):
    checkpoint = checkpoint_of(gan_run)[1]
    cli.main(["sample", "--ckpt_path", checkpoint, "--count", "40", "--seed", "2", "--output", f"{tmp_path}/a/"])
    capsys.readouterr()
    options = ["--count", "40", "--seed", "2", "--network", "random"]
    assert measured(capsys, checkpoint, tmp_path / "a", *options)["values"]["fid"] == pytest.approx(0, abs=1e-4)
    assert measured(capsys, tmp_path / "a", checkpoint, *options)["values"]["fid"] == pytest.approx(0, abs=1e-4)
    assert measured(capsys, checkpoint, tmp_path / "a", *options[:2])["values"]["fid"] > 1e-3  # of another seed


def test_gray_images_are_compared_with_coloured_ones(places, tmp_path, capsys):
    for number in range(20):
        mode = "RGB" if number else "L"  # one gray picture among coloured ones
        Image.new(mode, (12, 10), number * 3).save(tmp_path / f"{number}.png")
    assert read_images(tmp_path).shape == (20, 3, 10, 12)
    assert measured(capsys, places / "folder", tmp_path, "--network", "random")["values"]["fid"] > 0


def test_nearest_images_stand_behind_each_image(places, tmp_path):
    picture = tmp_path / "nearest.png"
    cli.main(["measure", *map(str, (places / "folder.npz", places / "folder", "--nearest", picture))])
    with Image.open(picture) as drawn:
        pixels = np.asarray(drawn.convert("L")).astype(int)
    height, width = pixels.shape
    column, row = width // 9, height // 8  # an image, a gap, seven neighbours
    tiles = [pixels[: row - 4, n * column + 4 : (n + 1) * column - 4] for n in range(9)]
    assert np.abs(tiles[0] - tiles[2]).mean() < 6 < np.abs(tiles[0] - tiles[3]).mean()  # itself, and another one
    assert tiles[1][10:-10, 10:-10].std() == 0


def test_a_picture_is_not_overwritten(places, tmp_path, capsys):
    (tmp_path / "a.png").touch()
    command = ["measure", *map(str, (places / "noise", places / "folder", "--nearest", tmp_path / "a.png"))]
    assert "a.png exists: choose another --output, or give --overwrite" in complaint(capsys, *command)


def mixed(root):
    Image.new("L", (8, 8)).save(root / "a.png")
    Image.new("L", (8, 8)).save(root / "b.png")
    Image.new("L", (9, 8)).save(root / "c.png")
    return "holds images of different sizes, such as 2 of 8 x 8 and 1 of 9 x 8 pixels: scale them to one size"


def broken(root):
    (root / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return "1 of 1 images in "


def single(root):
    Image.new("L", (8, 8)).save(root / "a.png")
    return "holds 1 image: expected at least 2"


def floats(root):
    np.savez(root / "x.npz", np.zeros((3, 8, 8, 3)))
    return "has as its first array float64 (3, 8, 8, 3): expected uint8 (images, height, width, 1 or 3)"


def no_array(root):
    (root / "x.npz").write_bytes(b"PK")
    return "x.npz cannot be read as a .npz: "


@pytest.mark.parametrize("make", [mixed, broken, single, floats, no_array])
def test_what_cannot_be_compared_is_one_message(places, tmp_path, capsys, make):
    expected = make(tmp_path)
    place = tmp_path / "x.npz" if (tmp_path / "x.npz").exists() else tmp_path
    assert expected in complaint(capsys, "measure", str(place), str(places / "folder"))


@pytest.mark.parametrize(
    ("place", "options", "message"),
    [
        ("empty", [], "empty holds no images"),
        ("nothing", [], "there is no checkpoint, folder, .zip or .npz"),
        ("folder", ["--network", "nobody"], "there is no classifier nobody: give the path of a classifier's"),
        ("folder", ["--count", "1"], "--count is 1: expected at least 2"),
    ],
)
def test_what_cannot_be_found_is_one_message(places, capsys, place, options, message):
    assert message in complaint(capsys, "measure", str(places / place), str(places / "folder"), *options)


def test_two_sizes_are_one_message(gan_run, places, capsys):
    said = complaint(capsys, "measure", checkpoint_of(gan_run)[1], str(places / "folder"), "--count", "2")
    assert "has images of 8 x 8 pixels, " in said
    assert "of 12 x 10: scale one of them" in said


def test_a_classifier_generates_nothing(classifier_run, places, capsys):
    said = complaint(capsys, "measure", checkpoint_of(classifier_run)[1], str(places / "folder"))
    assert "holds a ImageClassifier, which generates no images" in said
