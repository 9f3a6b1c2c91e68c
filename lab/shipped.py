"""The configs that come with the project, found from any working directory, and the commit that it is at."""

import functools
import subprocess
from pathlib import Path

PACKAGE = Path(__file__).parent
CONFIGS = "configs"


def shipped_configs() -> Path:
    """The folder of the shipped configs: inside the installed package, or in the checkout around the package."""
    installed = PACKAGE / CONFIGS
    return installed if installed.is_dir() else PACKAGE.parent / CONFIGS


def find_config(path: str | Path) -> Path:
    """The file that a config's path means: the user's own where it exists, else the shipped one of the same name.

    Only paths that begin with `configs/` name shipped files. A path that means neither is returned as it is.
    """
    path = Path(path)
    if path.parts[:1] != (CONFIGS,) or path.exists():
        return path
    shipped = shipped_configs().joinpath(*path.parts[1:])
    return shipped if shipped.is_file() else path


def shipped_results() -> Path:
    """The folder of the kept results of the shipped studies, in the checkout; an installed package has none."""
    return PACKAGE.parent / "docs" / "results"


@functools.cache
def commit() -> str | None:
    """The commit of the checkout that runs, with `-dirty` after it if files differ; None where there is no checkout."""
    root = PACKAGE.parent
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (FileNotFoundError, subprocess.CalledProcessError):  # no git, or a checkout that belongs to someone else
        return None
