"""One folder a run, never overwritten."""

import os
import time
from pathlib import Path

from commands.errors import UserError

SHARED_BY_PROCESSES = "LIGHTNING_MODELS_RUN_DIR"  # rank 0 names the folder for the processes that it starts


def default_run_dir(experiment: str) -> Path:
    """`runs/<experiment>/<time>`, the same for all processes of a run."""
    if SHARED_BY_PROCESSES in os.environ and os.environ.get("LOCAL_RANK", "0") != "0":
        return Path(os.environ[SHARED_BY_PROCESSES])
    run_dir = unused(Path("runs") / experiment / time.strftime("%Y%m%d-%H%M%S"))
    os.environ[SHARED_BY_PROCESSES] = str(run_dir)
    return run_dir


def unused(path: Path) -> Path:
    """`path`, or `path` with the first number behind it that is not taken."""
    number, candidate = 1, path
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.name}-{number}")
    return candidate


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
        f"  python cli.py fit -c {run_dir / 'config.yaml'} --ckpt_path {checkpoint}\n"
        "To start another run, choose another --run_dir, or give none."
    )


def experiment_name(config_files: list[str], model: str, data: str) -> str:
    """`gan/digits` for configs/gan/digits.yaml; `gan/mnist` for --model GAN --data MNIST."""
    if config_files:
        path = Path(config_files[-1]).resolve()
        if path.name == "config.yaml":  # of an earlier run: runs/gan/digits/<time>/config.yaml
            path = path.parent.parent
        return f"{path.parent.name}/{path.stem}"
    return f"{model.rpartition('.')[2]}/{data.rpartition('.')[2]}".lower()
