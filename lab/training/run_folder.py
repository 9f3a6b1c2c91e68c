"""The folder of a run: one for each run, and never overwritten."""

import shutil
import time
from contextlib import suppress
from itertools import count
from pathlib import Path

import yaml

from lab.errors import UserError
from lab.program import command_line
from lab.training.run_lock import LOCK_FILE

RESULTS = ("metrics.csv", "samples", "checkpoints")


class RunFolder:
    """The folder of a run, created at once, so that two runs that start in the same second get two folders.

    Args:
        path: The folder.
        is_new: Whether it must not exist yet.
        writes: Whether this process creates it; the other processes of a run only need its name.

    Raises:
        FileExistsError: if it exists, but must not.
        UserError: if it cannot be created.
    """

    def __init__(self, path: Path, is_new: bool, writes: bool) -> None:
        self.path, self.created = path, []
        if not writes:
            return
        self.created = [folder for folder in (path, *path.parents) if not folder.exists()]
        make_folder(path.parent, f"the run folder {path}")
        try:
            path.mkdir(exist_ok=not is_new)
        except FileExistsError:
            raise
        except OSError as error:
            raise UserError(f"cannot create the run folder {path}: {error.strerror}") from error

    def remove_unless_results(self) -> None:
        """Remove it if this process created it and it holds no results: missing data leaves no folder behind."""
        if self.path in self.created and not any((self.path / name).exists() for name in RESULTS):
            shutil.rmtree(self.path)
            with suppress(OSError):  # not empty: another run has started there
                for folder in self.created[1:]:
                    folder.rmdir()


def make_folder(folder: Path, wanted: str) -> None:
    """Create a folder and those that it lies in, where they do not exist.

    Raises:
        UserError: if that is impossible; it says that what is `wanted` cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        file = next((path for path in (folder, *folder.parents) if path.is_file()), None)
        reason = error.strerror if file is None else f"{file} is a file, no folder"
        raise UserError(f"cannot create {wanted}: {reason}") from error


def unused_folder(path: Path, writes: bool) -> RunFolder:
    """A new folder: `path` or, if that exists, `path-2`, `path-3`, ...; a process that writes nothing takes `path`."""
    number, candidate = 1, path
    while True:
        with suppress(FileExistsError):
            return RunFolder(candidate, is_new=True, writes=writes)
        number += 1
        candidate = path.with_name(f"{path.name}-{number}")


def default_run_folder(experiment: str, writes: bool) -> RunFolder:
    """`runs/<experiment>/<time>`."""
    return unused_folder(Path("runs") / experiment / time.strftime("%Y%m%d-%H%M%S"), writes)


def given_run_folder(run_dir: Path, ckpt_path: str | None, writes: bool) -> RunFolder:
    """The folder that the user named.

    Raises:
        UserError: if a fit would overwrite other files, or a run that it does not resume.
    """
    if writes:
        check_run_dir(run_dir, ckpt_path)
    try:
        return RunFolder(run_dir, is_new=not run_dir.exists(), writes=writes)
    except FileExistsError as error:
        raise UserError(f"another run has just started in --run_dir {run_dir}: choose another folder") from error


def check_resumable(run_dir: Path) -> None:
    """Raise a UserError if the path holds anything but a run, or nothing."""
    if run_dir.exists() and not run_dir.is_dir():
        raise UserError(f"--run_dir {run_dir} is a file: give a folder that does not exist yet")
    if not run_dir.exists() or (run_dir / "config.yaml").exists():
        return
    if not {path.name for path in run_dir.iterdir()} <= {LOCK_FILE}:
        raise UserError(f"--run_dir {run_dir} holds other files: give a folder that is empty or does not exist yet")


def check_run_dir(run_dir: Path, ckpt_path: str | None) -> None:
    """Raise a UserError if a fit would overwrite other files, or a run that it does not resume."""
    if run_dir.is_dir() and ckpt_path is not None and run_dir.resolve() in Path(ckpt_path).resolve().parents:
        return
    check_resumable(run_dir)
    if not (run_dir / "config.yaml").exists():
        return
    checkpoint = run_dir / "checkpoints" / "last.ckpt"
    if not checkpoint.exists():
        raise UserError(
            f"{run_dir} holds a run that ended before its first checkpoint: choose another --run_dir, or begin it "
            "again with --resume"
        )
    raise UserError(
        f"{run_dir} already holds a run. To resume it:\n"
        f"  {command_line('fit', '-c', str(run_dir / 'config.yaml'), '--ckpt_path', str(checkpoint))}\n"
        "To start another run, choose another --run_dir; null creates one below runs/."
    )


def config_file(run_dir: Path, text: str) -> Path:
    """The file for a run's options: `config.yaml`, `config-resumed.yaml`, `config-resumed-2.yaml`, ...

    The first one that does not exist yet or holds the same options, so that options changed by a resume overwrite none.
    """
    options, path = yaml.safe_load(text), run_dir / "config.yaml"
    for number in count(1):
        if not path.exists() or yaml.safe_load(path.read_text()) == options:
            break
        path = run_dir / ("config-resumed.yaml" if number == 1 else f"config-resumed-{number}.yaml")
    return path


def experiment_name(config_files: list[str], model: str, data: str) -> str:
    """`gan/digits` for configs/gan/digits.yaml; `gan/mnist` for --model GAN --data MNIST."""
    if not config_files:
        return f"{model.rpartition('.')[2]}/{data.rpartition('.')[2]}".lower()
    path = Path(config_files[-1]).resolve()
    if path.name == "config.yaml" and any((path.parent / name).exists() for name in RESULTS):
        path = path.parent.parent  # of an earlier run: runs/gan/digits/<time>/config.yaml
    return f"{path.parent.name}/{path.stem}".strip("/")
