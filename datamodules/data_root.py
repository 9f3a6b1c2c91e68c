"""Where data is looked for."""

import os
from pathlib import Path


def expanded(path: str | Path) -> Path:
    """`path` with the home folder for ~; the ~name of a user who does not exist stays as it is."""
    return Path(os.path.expanduser(path))


def data_root(root: str | None) -> Path:
    """`root` if it is given, else the environment variable DATA_ROOT, else the folder `data` here."""
    return expanded(root or os.environ.get("DATA_ROOT") or "data")
