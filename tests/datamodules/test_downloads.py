import os

import pytest
import torchvision

from datamodules import downloads
from datamodules.data_root import data_root, expanded
from datamodules.downloads import fetch, fetch_file


def test_folders_of_a_data_set_are_moved_to_their_place_as_a_whole(tmp_path, monkeypatch):
    inodes = []

    def download(folder, download):
        os.mkdir(os.path.join(folder, "batches"))
        path = os.path.join(folder, "batches", "one")
        with open(path, "w") as file:
            file.write("content")
        inodes.append(os.stat(path).st_ino)

    monkeypatch.setattr(torchvision.datasets, "CIFAR10", download)
    fetch("CIFAR10", tmp_path / "new", ["batches"])
    assert os.listdir(tmp_path / "new") == ["batches"]
    assert (tmp_path / "new" / "batches" / "one").stat().st_ino == inodes[0]  # renamed, not copied


def test_a_file_is_fetched_with_a_limit_and_never_seen_half_written(tmp_path, monkeypatch):
    limits = []

    class Broken:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def read(self, *_):
            raise OSError("connection lost")

    monkeypatch.setattr(downloads, "urlopen", lambda url, timeout: limits.append(timeout) or Broken())
    (tmp_path / "x.txt").write_text("before")
    with pytest.raises(OSError, match="connection lost"):
        fetch_file("http://x", tmp_path / "x.txt")
    assert limits == [30]
    assert os.listdir(tmp_path) == ["x.txt"]
    assert (tmp_path / "x.txt").read_text() == "before"


def test_home_folders_are_expanded_and_unknown_users_are_no_crash(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("DATA_ROOT", "~/data")
    assert str(data_root(None)) == "/home/me/data"
    assert str(data_root("~/other")) == "/home/me/other"
    assert str(expanded("~nobody-of-that-name/x")) == "~nobody-of-that-name/x"
