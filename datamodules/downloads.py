"""Data sets fetched by torchvision or from a URL; nothing half-written is ever left in the data folder."""

import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from urllib.request import urlopen

import torchvision

from lab.errors import UserFileError
from lab.files import atomic_write


def fetch(data_set: str, root: Path, wanted: Iterable[str]) -> None:
    """Fetch torchvision's `data_set` beside its place, then move the files or folders `wanted` into `root`.

    Args:
        data_set: Name of a class of torchvision.datasets.
        root: Folder of the data sets; made if it does not exist.
        wanted: Paths below `root`.

    Raises:
        OSError: without a connection, or if `root` cannot be written.
        RuntimeError: if the server does not have the files.
    """
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root, prefix=".download-") as folder:
        getattr(torchvision.datasets, data_set)(folder, download=True)
        for name in wanted:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(Path(folder) / name, root / name)


def fetch_file(url: str, path: Path) -> None:
    """Download the file at `url` to `path`, which is never seen half-written.

    Raises:
        OSError: without a connection, if there is no such file, or if `path` cannot be written.
    """
    with urlopen(url, timeout=30) as source, atomic_write(path) as unfinished, unfinished.open("wb") as file:
        shutil.copyfileobj(source, file)


def missing_data(data_set: str, looked_at: str, wanted: str, folder: str, reason: str) -> UserFileError:
    """The error to raise: what was looked for where, why it could not be fetched, and what to do."""
    return UserFileError(
        f"{data_set} was not found: looked at {looked_at}. It was not downloaded: {reason}. Put {wanted} there, or "
        f"name the folder that holds {folder} with --data.root or the environment variable DATA_ROOT"
    )
