"""One folder a run, never overwritten."""

import os
import shutil
import time
from contextlib import suppress
from itertools import count
from pathlib import Path

import yaml

from lab.errors import UserError
from lab.training.next_steps import command_line

SHARED_BY_PROCESSES = "LIGHTNING_MODELS_RUN_DIR"  # rank 0 names the folder for the processes that it starts
RESULTS = ("metrics.csv", "samples", "checkpoints")


class RunFolder:
    """The folder of a run. It is made at once, so that of two runs that begin in the same second each has its own.

    Args:
        path: where it lies.
        is_new: whether it must not be there yet.
        writes: whether this process makes it; the others of a run only know its name.

    Raises:
        FileExistsError: if it is there, but must not be.
        UserError: if it cannot be made.
    """

    def __init__(self, path: Path, is_new: bool, writes: bool) -> None:
        self.path, self.made = path, []
        if not writes:
            return
        self.made = [folder for folder in (path, *path.parents) if not folder.exists()]
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"the run folder {path} cannot be made: {error.strerror}") from error
        try:
            path.mkdir(exist_ok=not is_new)
        except PermissionError as error:
            raise UserError(f"the run folder {path} cannot be made: {error.strerror}") from error

    def leave(self) -> None:
        """Remove it if this process made it and nothing came out: missing data leaves no folder behind."""
        if self.path in self.made and not any((self.path / name).exists() for name in RESULTS):
            shutil.rmtree(self.path)
            with suppress(OSError):  # not empty: somebody else has begun a run there
                for folder in self.made[1:]:
                    folder.rmdir()


def unused_folder(path: Path, writes: bool) -> RunFolder:
    """`path`, or `path` with the first number behind it that is not taken; one that writes nothing does not look."""
    number, candidate = 1, path
    while True:
        with suppress(FileExistsError):
            return RunFolder(candidate, is_new=True, writes=writes)
        number += 1
        candidate = path.with_name(f"{path.name}-{number}")


def default_run_folder(experiment: str, writes: bool) -> RunFolder:
    """`runs/<experiment>/<time>`, the same for all processes of a run."""
    if SHARED_BY_PROCESSES in os.environ and os.environ.get("LOCAL_RANK", "0") != "0":
        return RunFolder(Path(os.environ[SHARED_BY_PROCESSES]), is_new=False, writes=False)
    folder = unused_folder(Path("runs") / experiment / time.strftime("%Y%m%d-%H%M%S"), writes)
    os.environ[SHARED_BY_PROCESSES] = str(folder.path)
    return folder


def given_run_folder(run_dir: Path, ckpt_path: str | None, writes: bool) -> RunFolder:
    """The folder that the user named.

    Raises:
        UserError: if a fit would write over what is there: a run that it does not go on with, or other files.
    """
    if writes:
        check_run_dir(run_dir, ckpt_path)
    try:
        return RunFolder(run_dir, is_new=not run_dir.exists(), writes=writes)
    except FileExistsError as error:
        raise UserError(f"another run has just begun in --run_dir {run_dir}: choose another one") from error


def check_run_dir(run_dir: Path, ckpt_path: str | None) -> None:
    """Raise a UserError if a fit would write over what is there: a run that it does not go on with, or other files."""
    if run_dir.exists() and not run_dir.is_dir():
        raise UserError(f"--run_dir {run_dir} is a file: give a folder that does not exist yet")
    if not run_dir.exists() or not any(run_dir.iterdir()):
        return
    if ckpt_path is not None and run_dir.resolve() in Path(ckpt_path).resolve().parents:
        return
    if not (run_dir / "config.yaml").exists():
        raise UserError(f"--run_dir {run_dir} holds other files: give a folder that is empty or does not exist yet")
    checkpoint = run_dir / "checkpoints" / "last.ckpt"
    if not checkpoint.exists():
        raise UserError(f"{run_dir} holds a run that ended before its first checkpoint: choose another --run_dir")
    raise UserError(
        f"{run_dir} already holds a run. To go on with it:\n"
        f"  {command_line('fit', '-c', str(run_dir / 'config.yaml'), '--ckpt_path', str(checkpoint))}\n"
        "To start another run, choose another --run_dir; null makes a new one below runs/."
    )


def config_file(run_dir: Path, text: str) -> Path:
    """Where a run's options go: `config.yaml`, `config-resumed.yaml`, `config-resumed-2.yaml`, ...

    The first that does not exist yet or holds these options: a resumed run whose options differ keeps both.
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
