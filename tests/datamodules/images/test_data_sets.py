import gzip
import hashlib
import io
import os
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision

from datamodules.images import CIFAR10, MNIST, FashionMNIST, cifar10
from datamodules.images.cifar10 import BATCHES
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
        "connection lost. Put the files, compressed (.gz) or not, there, or name the folder that holds MNIST/ with "
        "--data.root or the environment variable DATA_ROOT"
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
        (
            lambda content: b"",
            r"/train-images-idx3-ubyte is not an idx file: it starts with \[\], expected \[0, 0, 8, 3\]",
        ),
        (
            lambda content: b"\x1f\x8b" + content,
            r"starts with \[31, 139, 0, 0\], expected .* \(a compressed file's name must end in .gz\)",
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


@pytest.mark.parametrize("folder", ["MNIST/raw", "MNIST", "."])
@pytest.mark.parametrize("dotted", [False, True])
def test_mnist_is_read_from_compressed_files_as_they_were_downloaded(tmp_path, folder, dotted):
    raw = write_mnist(tmp_path / "source", 40) / "MNIST" / "raw"
    target = tmp_path / "root" / folder
    target.mkdir(parents=True)
    for file in raw.iterdir():
        name = file.name.replace("-idx", ".idx") if dotted else file.name
        (target / f"{name}.gz").write_bytes(gzip.compress(file.read_bytes()))
    data = ready(MNIST(root=str(tmp_path / "root"), download=False, val_fraction=0.0))
    assert torch.equal(data.train_images, ready(MNIST(root=str(tmp_path / "source"), val_fraction=0.0)).train_images)
    data.train_images[0] = 0  # the memory may be written to
    with pytest.raises(FileNotFoundError, match="FashionMNIST was not found"):  # its files have the same names
        FashionMNIST(root=str(tmp_path / "root"), download=False).setup("fit")


def test_a_damaged_compressed_file_is_named(tmp_path):
    file = write_mnist(tmp_path, 40) / "MNIST" / "raw" / "train-images-idx3-ubyte"
    compressed = gzip.compress(file.read_bytes())
    file.unlink()
    for content in (compressed[:-20], b"not compressed", compressed[:30] + bytes(20) + compressed[50:]):
        file.with_name(f"{file.name}.gz").write_bytes(content)
        with pytest.raises(ValueError, match=r"train-images-idx3-ubyte.gz is damaged or not compressed"):
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


def cifar10_archive(path, monkeypatch):
    """A tar of two images a batch, numbered through, that passes for the original."""
    rows = np.arange(12 * 3072).reshape(6, 2, 3072).astype(np.uint8)
    with tarfile.open(path, "w:gz") as archive:
        for number, name in enumerate([*BATCHES["train"], *BATCHES["test"]]):
            content = pickle.dumps({"data": rows[number], "labels": [number, 9]})
            entry = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    monkeypatch.setattr(cifar10, "ARCHIVE_MD5", hashlib.md5(path.read_bytes()).hexdigest())
    return rows


def test_cifar10_is_read_from_its_archive_without_unpacking_it(tmp_path, monkeypatch):
    rows = cifar10_archive(tmp_path / "cifar-10-python.tar.gz", monkeypatch)
    write_cifar10(tmp_path, 20)  # a copy, which the original comes before
    data = ready(CIFAR10(root=str(tmp_path), val_fraction=0.0))
    assert data.train_images.flatten(1).tolist() == rows[:5].reshape(10, -1).tolist()
    assert data.train_labels.tolist() == [0, 9, 1, 9, 2, 9, 3, 9, 4, 9]
    assert data.test_images.flatten(1).tolist() == rows[5].tolist()
    assert data.test_labels.tolist() == [5, 9]
    assert sorted(os.listdir(tmp_path)) == ["cifar-10-python.tar.gz", "cifar10"]


def test_an_archive_that_is_not_the_original_is_never_unpickled(tmp_path, monkeypatch):
    cifar10_archive(tmp_path / "cifar-10-python.tar.gz", monkeypatch)
    monkeypatch.setattr(cifar10, "ARCHIVE_MD5", torchvision.datasets.cifar.CIFAR10.tgz_md5)
    monkeypatch.setattr(pickle, "loads", lambda *_, **__: pytest.fail("unpickled"))
    with pytest.raises(ValueError, match=r"cifar-10-python.tar.gz is incomplete or damaged: delete it"):
        ready(CIFAR10(root=str(tmp_path)))


def test_the_checksum_is_the_one_that_torchvision_knows():
    assert TORCHVISION_CIFAR10.tgz_md5 == cifar10.ARCHIVE_MD5


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
    assert {split: len(indices) for split, indices in listing.splits.items()} == {"train": 50_000, "test": 10_000}
    assert listing.labels[listing.splits["train"]].bincount().tolist() == [5_000] * 10
