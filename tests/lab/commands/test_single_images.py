"""Images of a checkpoint as single files or as an array."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

import cli
from datamodules.images.folder import ImageFolder
from lab.commands import single_images
from lab.commands.single_images import Samples, folder_name
from lab.training.checkpoints import load_model
from tests.lab.commands.test_sample import complaint
from tests.tiny_runs import checkpoint_of


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(single_images, "BLOCK", 8)


def sample(run, output, *options):
    cli.main(["sample", *checkpoint_of(run), "--output", str(output), *options])


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.png")}


def test_a_folder_gets_single_images_that_depend_on_seed_and_number(gan_run, tmp_path, capsys):
    sample(gan_run, f"{tmp_path}/a/", "--count", "20")
    assert capsys.readouterr().out == f"{tmp_path}/a: 20 images of GAN, seed 0\n"
    images = contents(tmp_path / "a")
    assert sorted(images) == [f"{number:06d}.png" for number in range(20)]
    assert len(set(images.values())) == 20
    with Image.open(tmp_path / "a" / "000003.png") as image:
        assert (image.mode, image.size) == ("L", (8, 8))
    sample(gan_run, f"{tmp_path}/b/", "--count", "11")
    assert contents(tmp_path / "b").items() < images.items()
    sample(gan_run, f"{tmp_path}/c/", "--count", "20", "--seed", "1")
    assert not set(contents(tmp_path / "c").values()) & set(images.values())


def test_it_goes_on_where_it_was_stopped(gan_run, tmp_path, capsys, monkeypatch):
    sample(gan_run, f"{tmp_path}/straight/", "--count", "20")
    folder = tmp_path / "stopped"
    folder.mkdir()
    whole, made = Image.Image.save, []

    def save(self, *args, **options):
        made.append(1)
        if len(made) == 13:
            raise KeyboardInterrupt
        whole(self, *args, **options)

    monkeypatch.setattr(Image.Image, "save", save)
    with pytest.raises(SystemExit):
        sample(gan_run, folder, "--count", "20")
    assert len(contents(folder)) == 12
    assert sorted(path.name for path in folder.iterdir() if path.suffix != ".png") == [".samples.json"]
    (folder / "000002.png").unlink()
    kept = (folder / "000005.png").stat().st_mtime_ns
    capsys.readouterr()
    sample(gan_run, folder, "--count", "20")
    assert capsys.readouterr().out == f"{folder}: 20 images of GAN, seed 0, 11 of them there before\n"
    assert contents(folder) == contents(tmp_path / "straight")
    assert (folder / "000005.png").stat().st_mtime_ns == kept
    sample(gan_run, folder, "--count", "25")
    assert contents(folder).items() > contents(tmp_path / "straight").items()


def test_pixels_are_those_of_the_model(gan_run, tmp_path):
    model = load_model(checkpoint_of(gan_run)[1])
    found = list(Samples(model, checkpoint_of(gan_run)[1], 4, None).images(10, lambda number: number >= 8))
    ((numbers, images, labels),) = found
    assert (list(numbers), labels) == ([8, 9], None)
    sample(gan_run, f"{tmp_path}/a/", "--count", "10", "--seed", "4")
    for number, image in zip(numbers, images, strict=True):
        with Image.open(tmp_path / "a" / f"{number:06d}.png") as written:
            assert np.array_equal(np.asarray(written), image[:, :, 0].numpy())


@pytest.fixture(scope="module")
def conditional_run(tmp_path_factory):
    run = tmp_path_factory.mktemp("conditional") / "run"
    options = ["--model.conditional", "true", "--model.latent_dim", "4", "--quality.network", "none", "--quiet"]
    options += ["--trainer.max_epochs", "1", "--trainer.limit_train_batches", "1", "--samples.grid", "2"]
    options += ["--trainer.log_every_n_steps", "1"]
    cli.main(["fit", "--model", "GAN", "--data", "Digits", *options, "--run_dir", str(run)])
    return run


def test_classes_are_folders_that_can_be_learnt_from(conditional_run, tmp_path):
    sample(conditional_run, f"{tmp_path}/asked/", "--count", "20", "--class", "7,3")
    assert {name.partition("/")[0] for name in contents(tmp_path / "asked")} == {"7", "3"}
    assert (tmp_path / "asked" / "7" / "000000.png").exists()
    assert (tmp_path / "asked" / "3" / "000001.png").exists()
    data = ImageFolder(path=str(tmp_path / "asked"), image_size=8, val_fraction=0.5, cache_dir=str(tmp_path / "cache"))
    data.prepare_data()
    data.setup("fit")
    assert list(data.class_names) == ["3", "7"]
    assert len(data.train_images) + len(data.val_images) == 20
    sample(conditional_run, f"{tmp_path}/drawn/", "--count", "40")
    assert len({name.partition("/")[0] for name in contents(tmp_path / "drawn")}) > 4
    sample(conditional_run, tmp_path / "drawn.npz", "--count", "40")
    with np.load(tmp_path / "drawn.npz") as arrays:
        for number, label in enumerate(arrays["arr_1"]):
            assert (tmp_path / "drawn" / str(label) / f"{number:06d}.png").exists()


def test_an_array_has_the_same_images_and_goes_on(gan_run, tmp_path, monkeypatch):
    sample(gan_run, f"{tmp_path}/a/", "--count", "20")
    decode, calls = torch.Tensor.permute, []

    def interrupted(self, *order):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return decode(self, *order)

    monkeypatch.setattr(torch.Tensor, "permute", interrupted)
    with pytest.raises(SystemExit):
        sample(gan_run, tmp_path / "x.npz", "--count", "20")
    assert json.loads((tmp_path / ".x.npz.json").read_text())["done"] == 16
    calls.extend([1] * 10)
    before = len(calls)
    sample(gan_run, tmp_path / "x.npz", "--count", "20")
    assert len(calls) == before + 1  # one block was missing
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "x.npz"]
    with np.load(tmp_path / "x.npz") as arrays:
        assert list(arrays) == ["arr_0"]
        images = arrays["arr_0"]
    assert (images.shape, images.dtype) == ((20, 8, 8, 1), np.uint8)
    for number in range(20):
        with Image.open(tmp_path / "a" / f"{number:06d}.png") as image:
            assert np.array_equal(np.asarray(image), images[number, :, :, 0])


def test_folders_of_others_stay_as_they_are(gan_run, tmp_path, capsys):
    run = checkpoint_of(gan_run)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.txt").touch()
    command = ["sample", *run, "--count", "2", "--output"]
    assert f"{tmp_path}/mine holds other files: choose another" in complaint(capsys, *command, str(tmp_path / "mine"))
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["a.txt"]
    sample(gan_run, f"{tmp_path}/a/", "--count", "2")
    another = complaint(capsys, *command, f"{tmp_path}/a/", "--seed", "1")
    assert f"{tmp_path}/a holds images of another checkpoint, seed or choice of classes" in another
    assert "--columns is for a grid" in complaint(capsys, *command, f"{tmp_path}/a/", "--columns", "2")
    assert "--overwrite is for one file" in complaint(capsys, *command, f"{tmp_path}/a/", "--overwrite")
    (tmp_path / "file").touch()
    assert f"{tmp_path}/file is a file" in complaint(capsys, *command, f"{tmp_path}/file/")
    (tmp_path / "x.npz").touch()
    assert "x.npz exists: choose another --output" in complaint(capsys, *command, str(tmp_path / "x.npz"))


def test_names_of_classes_that_are_no_names_of_folders():
    assert [folder_name(name) for name in ("cat", "a/b", "..", "")] == ["cat", "a_b", "class ..", "class "]
