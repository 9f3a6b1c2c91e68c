import os
import pickle
from pathlib import Path

import jsonargparse
import numpy as np
import pytest
import torch
import torchvision
from pytorch_lightning import LightningDataModule, LightningModule, Trainer

from datamodules.image_datamodule import flip_half_of_them
from datamodules.images import CIFAR10, MNIST, Digits, FashionMNIST, ImageFolder
from tests.stand_in_data import (
    CIFAR10_CLASSES,
    digit_images,
    write_cifar10,
    write_image_folder,
    write_mnist,
    zip_folder,
)

TORCHVISION_CIFAR10 = torchvision.datasets.CIFAR10  # before the fixture that takes the network away


def ready(data):
    """`data` after the two hooks that a Trainer calls."""
    data.prepare_data()
    data.setup("fit")
    return data


# What all of them share, seen on the digits


def test_every_digit_is_in_exactly_one_part_with_its_shades_stretched_to_bytes():
    data = ready(Digits())
    parts = [data.train_images, data.val_images, data.test_images]
    assert [tuple(part.shape) for part in parts] == [(1293, 1, 8, 8), (144, 1, 8, 8), (360, 1, 8, 8)]
    assert {part.dtype for part in parts} == {torch.uint8}
    assert torch.cat(parts).unique().tolist() == [round(shade * 255 / 16) for shade in range(17)]

    pixels, labels = digit_images(1797, 8)
    expected = sorted((label, image.tobytes()) for image, label in zip(pixels, labels, strict=True))
    all_labels = torch.cat([data.train_labels, data.val_labels, data.test_labels])
    found = zip(all_labels.tolist(), torch.cat(parts).numpy(), strict=True)
    assert sorted((label, image.tobytes()) for label, image in found) == expected


def test_test_part_of_the_digits_is_stratified_and_independent_of_every_seed():
    first, second = ready(Digits()), ready(Digits(split_seed=1, seed=1))
    assert torch.equal(first.test_images, second.test_images)
    assert not torch.equal(first.val_images, second.val_images)
    assert set(first.test_labels.bincount().tolist()) == {35, 36, 37}


def test_shape_classes_and_range_are_known_before_any_pixel_is_read(tmp_path):
    mnist = MNIST(root=str(tmp_path / "nothing_here"), image_size=32, classes=[1, 7])
    assert (mnist.image_shape, mnist.num_classes, mnist.class_names) == ((1, 32, 32), 2, ["1", "7"])
    cifar = CIFAR10(root=str(tmp_path / "nothing_here"), value_range=(0, 1))
    assert (cifar.image_shape, cifar.num_classes, cifar.value_range) == ((3, 32, 32), 10, (0.0, 1.0))
    folder = ImageFolder("nothing_here", image_size=48, channels=1)
    assert folder.image_shape == (1, 48, 48)


@pytest.mark.parametrize(("value_range", "middle"), [((-1.0, 1.0), 0.0), ((0.0, 1.0), 0.5)])
def test_pixels_reach_both_ends_of_the_value_range_exactly(value_range, middle):
    pixels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    images, labels = Digits(value_range=value_range).on_after_batch_transfer((pixels, torch.tensor([3])), 0)
    assert images.dtype == torch.float32
    assert (images.min().item(), images.max().item()) == value_range
    assert images.mean().item() == pytest.approx(middle, abs=1e-6)
    assert labels.tolist() == [3]
    assert pixels.flatten().tolist() == list(range(256))  # the data set itself is untouched


def test_images_that_are_floats_already_are_not_scaled():
    images = torch.rand(2, 1, 8, 8)
    scaled, _ = Digits().on_after_batch_transfer((images, torch.zeros(2)), 0)
    assert torch.equal(scaled, images)


@pytest.mark.parametrize("classes", [[8, 3], ["8", "3"], [8, "3"]])
def test_chosen_classes_get_labels_in_the_order_they_are_named(classes):
    everything, data = ready(Digits(val_fraction=0.0)), ready(Digits(val_fraction=0.0, classes=classes))
    assert (data.class_names, data.num_classes) == (["8", "3"], 2)
    for label, digit in enumerate((8, 3)):
        expected = everything.train_images[everything.train_labels == digit]
        assert torch.equal(data.train_images[data.train_labels == label], expected)
    assert set(data.test_labels.tolist()) == {0, 1}


def test_classes_can_be_chosen_by_name(tmp_path):
    data = CIFAR10(root=str(write_cifar10(tmp_path)), classes=["ship", 3])
    assert (data.class_names, set(ready(data).train_labels.tolist())) == (["ship", "cat"], {0, 1})


def test_images_are_resized_to_the_image_size():
    native, larger = ready(Digits()), ready(Digits(image_size=16))
    assert larger.train_images.shape == (1293, 1, 16, 16)
    assert larger.train_images.dtype == torch.uint8
    shrunk = torch.nn.functional.avg_pool2d(larger.train_images.float(), 2)
    correlation = np.corrcoef(shrunk.flatten(), native.train_images.flatten())[0, 1]
    assert correlation > 0.97  # the same pictures, a little softer


def test_validation_part_follows_its_fraction_and_seed():
    half, again = ready(Digits(val_fraction=0.5)), ready(Digits(val_fraction=0.5))
    assert (len(half.train_images), len(half.val_images)) == (719, 718)
    assert torch.equal(half.val_images, again.val_images)


class Model(LightningModule):
    """Takes any images; counts the batches it validates on."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.LazyLinear(1)
        self.trained = self.validated = 0

    def training_step(self, batch, batch_idx):
        self.trained += 1
        return self.layer(batch[0].flatten(1)).mean()

    def validation_step(self, batch, batch_idx):
        self.validated += 1
        self.layer(batch[0].flatten(1))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


def trainer(**options):
    quiet = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    return Trainer(accelerator="cpu", max_epochs=1, **dict.fromkeys(quiet, False), **options)


@pytest.mark.parametrize(("val_fraction", "validated"), [(0.1, 2 + 3), (0.0, 0)])  # 2 to check that it works
def test_fit_validates_where_there_are_images_for_it(val_fraction, validated):
    model = Model()
    trainer().fit(model, datamodule=Digits(val_fraction=val_fraction, batch_size=64))
    assert (model.trained, model.validated) == (21 if val_fraction else 23, validated)


def test_validation_and_test_without_images_say_what_to_do(tmp_path):
    data = ImageFolder(str(write_image_folder(tmp_path / "images", 12)), val_fraction=0.0)
    with pytest.raises(ValueError, match=r"there are no validation images: keep some with --data.val_fraction 0.1"):
        trainer().validate(Model(), datamodule=data)
    with pytest.raises(ValueError, match=r"there are no test images: keep some with --data.test_fraction 0.1"):
        ready(data).test_dataloader()


@pytest.mark.filterwarnings("ignore:You requested to overfit")  # Lightning announces what is tested here
def test_overfit_batches_repeats_the_same_images():
    seen = []

    class Recorder(Model):
        def training_step(self, batch, batch_idx):
            seen.append(batch[0])
            return super().training_step(batch, batch_idx)

    overfitting = trainer(overfit_batches=1, limit_val_batches=0)
    overfitting.fit_loop.max_epochs = 2
    overfitting.fit(Recorder(), datamodule=Digits())
    assert torch.equal(*seen)


def test_training_order_follows_the_seed_of_the_run(monkeypatch):
    def first_labels(**options):
        return next(iter(ready(Digits(**options)).train_dataloader()))[1].tolist()

    monkeypatch.setenv("PL_GLOBAL_SEED", "5")
    assert first_labels() == first_labels(seed=5) != first_labels(seed=0)
    monkeypatch.delenv("PL_GLOBAL_SEED")
    assert first_labels() == first_labels(seed=0)


def test_without_shuffling_training_images_come_in_their_stored_order():
    data = ready(Digits(shuffle=False, val_fraction=0.0, batch_size=10))
    assert torch.equal(next(iter(data.train_dataloader()))[0], data.train_images[:10])


def test_evaluation_sees_each_image_once_in_stored_order():
    data = ready(Digits(drop_last=True))
    for loader, labels in (
        (data.val_dataloader(), data.val_labels),
        (data.test_dataloader(), data.test_labels),
        (data.predict_dataloader(), data.test_labels),
    ):
        assert torch.cat([batch[1] for batch in loader]).equal(labels)


def test_options_of_the_training_loader_reach_it():
    data = ready(Digits(batch_size=100, drop_last=True, val_fraction=0.0))
    assert [len(labels) for _, labels in data.train_dataloader()] == [100] * 14
    drawn = torch.cat([batch[0] for batch in ready(Digits(with_replacement=True)).train_dataloader()])
    assert len(drawn.flatten(1).unique(dim=0)) < 0.7 * len(drawn)


def test_horizontal_flip_mirrors_half_of_the_training_images_and_no_others():
    plain, flipping = (ready(Digits(horizontal_flip=flip, shuffle=False)) for flip in (False, True))
    straight = torch.cat([batch[0] for batch in plain.train_dataloader()])
    flipped = torch.cat([batch[0] for batch in flipping.train_dataloader()])
    kept = (flipped == straight).flatten(1).all(1)
    mirrored = (flipped == straight.flip(-1)).flatten(1).all(1)
    assert (kept | mirrored).all()
    assert mirrored.float().mean().item() == pytest.approx(0.5, abs=0.05)
    assert torch.equal(next(iter(flipping.val_dataloader()))[0], flipping.val_images[:128])


def test_flip_leaves_labels_and_dtype_alone():
    images, labels = torch.arange(6, dtype=torch.uint8).view(1, 1, 2, 3), torch.tensor([4])
    outcomes = {
        tuple(flip_half_of_them((images, labels), torch.Generator().manual_seed(seed))[0].flatten().tolist())
        for seed in range(20)
    }
    assert outcomes == {(0, 1, 2, 3, 4, 5), (2, 1, 0, 5, 4, 3)}
    flipped, same_labels = flip_half_of_them((images, labels), torch.Generator())
    assert (flipped.dtype, same_labels.tolist()) == (torch.uint8, [4])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"value_range": (0.0, 255.0)}, r"value_range is \[0.0, 255.0\]: use \[-1.0, 1.0\] or \[0.0, 1.0\]"),
        ({"image_size": 0}, "image_size is 0: use a whole number of pixels from 1 up"),
        ({"val_fraction": 1.0}, r"val_fraction is 1.0: use a number from 0 \(none\) to below 1"),
        ({"val_fraction": 0.9999}, "val_fraction 0.9999 of 1437 images leaves none to train on: use a smaller one"),
        ({"classes": []}, "classes is an empty list: name at least one, or leave it out for all"),
        ({"classes": [3, "3"]}, "classes names one class twice: 3, 3"),
        ({"classes": [10]}, r"there is no class '10': .*use names \(0, 1, .*, 9\) or numbers 0 to 9"),
        ({"classes": [-1]}, r"there is no class '-1'"),
    ],
)
def test_impossible_options_are_explained(options, message):
    with pytest.raises(ValueError, match=message):
        Digits(**options).setup("fit")


def test_misspelt_class_is_answered_with_the_nearest_name():
    with pytest.raises(ValueError, match=r"there is no class 'Aeroplane': did you mean 'airplane'\? use names \(airpl"):
        CIFAR10(classes=["Aeroplane"]).class_names  # noqa: B018


@pytest.mark.parametrize("name", ["Digits", "MNIST", "FashionMNIST", "CIFAR10", "ImageFolder"])
def test_all_options_are_on_the_command_line_with_a_sentence_each(name, capsys):
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(LightningDataModule, "data")
    path = ["--data.path", "cats"] if name == "ImageFolder" else []
    args = [
        "--data",
        name,
        *path,
        "--data.batch_size",
        "3",
        "--data.classes",
        "[cat, 3]",
        "--data.value_range",
        "[0, 1]",
    ]
    options = parser.parse_args(args).data.init_args
    assert (options.batch_size, options.classes, options.value_range) == (3, ["cat", 3], (0.0, 1.0))

    with pytest.raises(SystemExit):
        parser.parse_args([f"--data.help={name}"])
    help_text = capsys.readouterr().out
    for option in vars(options):
        assert f"--data.{option} " in help_text
        _, _, explanation = help_text.rpartition(f"--data.{option} ")
        assert len(explanation.split("(")[0].split()) > 3, f"--data.{option} is not explained"


# MNIST and FashionMNIST


@pytest.mark.parametrize(("data_module", "name"), [(MNIST, "MNIST"), (FashionMNIST, "FashionMNIST")])
def test_mnist_files_are_read_as_they_are(tmp_path, data_module, name):
    data = ready(data_module(root=str(write_mnist(tmp_path, 40, name)), val_fraction=0.0))
    images, labels = digit_images(60, 28)
    assert data.train_images.squeeze(1).numpy().tolist() == images[:40].tolist()
    assert data.test_images.squeeze(1).numpy().tolist() == images[40:].tolist()
    assert data.train_labels.tolist() + data.test_labels.tolist() == labels.tolist()


def test_data_is_looked_for_in_root_then_in_the_environment_then_in_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATA_ROOT", raising=False)
    for number, folder in enumerate(("data", "environment", "root"), start=1):
        write_mnist(tmp_path / folder, 20 * number)
    assert len(ready(MNIST(val_fraction=0.0)).train_images) == 20
    monkeypatch.setenv("DATA_ROOT", "environment")
    assert len(ready(MNIST(val_fraction=0.0)).train_images) == 40
    assert len(ready(MNIST(val_fraction=0.0, root="root")).train_images) == 60


def test_missing_mnist_is_downloaded_and_put_in_its_place(tmp_path, monkeypatch):
    monkeypatch.setattr(torchvision.datasets, "MNIST", lambda folder, download: write_mnist(folder, 40))
    root = tmp_path / "new"
    assert len(ready(MNIST(root=str(root), val_fraction=0.0)).train_images) == 40
    assert os.listdir(root) == ["MNIST"]  # the temporary folder is gone


def test_download_cut_short_leaves_nothing_and_one_message_says_what_to_do(tmp_path, monkeypatch):
    def break_off(folder, download):
        write_mnist(folder, 20)
        raise OSError("connection lost")

    monkeypatch.setattr(torchvision.datasets, "MNIST", break_off)
    with pytest.raises(FileNotFoundError) as error:
        MNIST(root=str(tmp_path / "new")).prepare_data()
    assert str(error.value) == (
        f"MNIST was not found: looked at {tmp_path}/new/MNIST/raw for train-images-idx3-ubyte, "
        "train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte. It was not downloaded: "
        "connection lost. Put the uncompressed files there, or name the folder that holds MNIST/ with --data.root "
        "or the environment variable DATA_ROOT"
    )
    assert os.listdir(tmp_path / "new") == []


@pytest.mark.parametrize("data_module", [MNIST, CIFAR10])
def test_download_false_never_connects(tmp_path, data_module):
    data = data_module(root=str(tmp_path), download=False)
    data.prepare_data()
    with pytest.raises(FileNotFoundError, match=r"was not found: .* It was not downloaded: --data.download is false"):
        data.setup("fit")


def test_files_that_are_there_are_kept_when_one_is_downloaded(tmp_path, monkeypatch):
    raw = write_mnist(tmp_path, 40) / "MNIST" / "raw"
    (raw / "t10k-labels-idx1-ubyte").unlink()
    monkeypatch.setattr(torchvision.datasets, "MNIST", lambda folder, download: write_mnist(folder, 40))
    before = (raw / "train-images-idx3-ubyte").stat().st_mtime_ns
    assert len(ready(MNIST(root=str(tmp_path))).test_labels) == 20
    assert (raw / "train-images-idx3-ubyte").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content[:-100], r"/train-images-idx3-ubyte has 31,276 bytes, expected 31,376: delete it"),
        (lambda content: content + b"x", r"/train-images-idx3-ubyte has 31,377 bytes, expected 31,376"),
        (lambda content: b"", r"/train-images-idx3-ubyte is no idx file: it starts with \[\], expected \[0, 0, 8, 3\]"),
        (
            lambda content: b"\x1f\x8b" + content,
            r"starts with \[31, 139, 0, 0\], expected .* \(is it still compressed\?\)",
        ),
        (
            lambda content: content[:11] + b"\x1b" + content[12:],
            r"holds items of shape \(27, 28\), expected \(28, 28\)",
        ),
    ],
)
def test_damaged_idx_file_is_named(tmp_path, damage, message):
    file = write_mnist(tmp_path, 40) / "MNIST" / "raw" / "train-images-idx3-ubyte"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(ValueError, match=message):
        MNIST(root=str(tmp_path)).setup("fit")


def test_labels_of_another_set_are_refused(tmp_path):
    raw = write_mnist(tmp_path, 40) / "MNIST" / "raw"
    (raw / "t10k-labels-idx1-ubyte").write_bytes((raw / "train-labels-idx1-ubyte").read_bytes())
    with pytest.raises(ValueError, match="t10k-labels-idx1-ubyte has 40 labels for 20 images"):
        MNIST(root=str(tmp_path)).setup("fit")


# CIFAR-10


@pytest.mark.parametrize("kind", ["cifar10", "cifar10.zip", "cifar10-jpeg.zip"])
def test_cifar10_is_read_from_a_folder_or_zip_of_its_images(tmp_path, capsys, kind):
    write_cifar10(tmp_path / "source", 40)
    if kind != "cifar10":
        zip_folder(tmp_path / "source", tmp_path / kind)
    root = tmp_path / "source" if kind == "cifar10" else tmp_path
    data = ready(CIFAR10(root=str(root), val_fraction=0.0))
    assert data.train_images.shape == (40, 3, 32, 32)
    assert data.train_labels.tolist() == [label for label in range(10) for _ in range(4)]
    assert len(data.test_images) == 20
    digit = torch.from_numpy(digit_images(1, 32)[0][0])
    assert torch.equal(data.train_images[0], torch.stack([digit, 255 - digit, torch.zeros_like(digit)]))
    assert capsys.readouterr().err == ""  # PNG has no losses


def test_jpeg_copies_of_cifar10_are_announced_in_one_line(tmp_path, capsys):
    for part in ("train", "test"):
        write_image_folder(tmp_path / "cifar10" / part, 10, 32, CIFAR10_CLASSES, suffix=".jpg")
    ready(CIFAR10(root=str(tmp_path)))
    assert capsys.readouterr().err == (
        f"CIFAR10: using the JPEG copies in {tmp_path}/cifar10, which are not fit for published FID comparisons\n"
    )


def test_original_cifar10_files_come_first(tmp_path, monkeypatch):
    monkeypatch.setattr(torchvision.datasets, "CIFAR10", TORCHVISION_CIFAR10)
    monkeypatch.setattr(torchvision.datasets.cifar, "check_integrity", lambda *_: True)
    write_cifar10(tmp_path, 40)
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    rows = np.arange(2 * 3072).reshape(2, 3072).astype(np.uint8)
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        (folder / name).write_bytes(pickle.dumps({"data": rows, "labels": [6, 9]}))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list(CIFAR10_CLASSES)}))

    data = ready(CIFAR10(root=str(tmp_path), val_fraction=0.0))
    assert data.train_images.flatten(1).tolist() == rows.tolist() * 5
    assert data.test_labels.tolist() == [6, 9]


def test_damaged_original_cifar10_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(torchvision.datasets, "CIFAR10", TORCHVISION_CIFAR10)
    (tmp_path / "cifar-10-batches-py").mkdir()
    with pytest.raises(
        ValueError, match="/cifar-10-batches-py is incomplete or damaged: delete it and it is downloaded"
    ):
        ready(CIFAR10(root=str(tmp_path)))


def test_missing_cifar10_names_all_places_and_what_to_put_there(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        CIFAR10(root=str(tmp_path)).prepare_data()
    for place in (
        "cifar-10-batches-py",
        "cifar10-jpeg.zip",
        "cifar10.zip",
        "cifar10. It was not downloaded: no connec",
    ):
        assert f"{tmp_path}/{place}" in str(error.value)


def test_folder_called_cifar10_with_other_contents_is_refused(tmp_path):
    write_image_folder(tmp_path / "cifar10", 4, 32, ("cat", "dog"))
    with pytest.raises(ValueError, match=r"/cifar10 holds train of cat, dog; expected train and test of airplane, "):
        ready(CIFAR10(root=str(tmp_path)))


# The real files, where there are any

REAL_DATA = Path(os.environ.get("DATA_ROOT", "data"))


@pytest.mark.skipif(not (REAL_DATA / "MNIST" / "raw").is_dir(), reason="MNIST is not here")
def test_real_mnist_is_complete_and_starts_with_a_five():
    data = ready(MNIST(root=str(REAL_DATA), val_fraction=0.0))
    assert (data.train_images.shape, data.test_images.shape) == ((60_000, 1, 28, 28), (10_000, 1, 28, 28))
    assert data.train_labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert data.test_labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert data.train_images.float().mean().item() / 255 == pytest.approx(0.1307, abs=5e-5)  # the well-known mean


@pytest.mark.skipif(not (REAL_DATA / "cifar10-jpeg.zip").is_file(), reason="the zip of CIFAR-10 is not here")
def test_real_zip_of_cifar10_is_listed_with_all_classes():
    listing = CIFAR10(root=str(REAL_DATA)).copy
    assert listing.class_names == CIFAR10_CLASSES
    assert {part: len(indices) for part, indices in listing.parts.items()} == {"train": 50_000, "test": 10_000}
    assert listing.labels[listing.parts["train"]].bincount().tolist() == [5_000] * 10
