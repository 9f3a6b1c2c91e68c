"""Where data is looked for."""

import os
from pathlib import Path


def data_root(root: str | None) -> Path:
    """`root` if it is given, else the environment variable DATA_ROOT, else the folder `data` here."""
    return Path(root or os.environ.get("DATA_ROOT") or "data").expanduser()
