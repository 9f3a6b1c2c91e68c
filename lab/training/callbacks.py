"""Which callbacks a run has, in which order."""

from pathlib import Path

from pytorch_lightning import Callback, LightningModule
from pytorch_lightning.callbacks import ModelCheckpoint

from lab.errors import UserError
from lab.training import registry
from lightning_models.callbacks.best_checkpoint import BestCheckpoint
from lightning_models.callbacks.progress import ProgressBar
from lightning_models.callbacks.random_state import RandomState
from lightning_models.callbacks.resume import ResumeAfterEpoch
from lightning_models.callbacks.stopped import CheckpointWhenStopped
from lightning_models.callbacks.throughput import Throughput
from lightning_models.metrics.catalogue import direction_of

MODES = {"minimize": "min", "maximize": "max"}  # as ModelCheckpoint calls them


def run_callbacks(
    model: LightningModule, given: list[Callback], shows_progress: bool, trains: bool, checkpoint_dir: Path | None
) -> list[Callback]:
    """The callbacks of every run, those in `given`, and those of the model's family.

    Checkpoint callbacks come last, so that they store the state of all others.

    Args:
        model: what is run.
        given: by the command line and by whoever starts the run.
        shows_progress: add a progress bar.
        trains: the command is fit.
        checkpoint_dir: where checkpoints go; None: there are none.
    """
    callbacks: list[Callback] = [RandomState(), ResumeAfterEpoch(), Throughput(), *given]
    for family, makers in registry.CALLBACKS.items():
        if isinstance(model, family):
            callbacks += [make() for make in makers]
    if shows_progress:
        callbacks.append(ProgressBar(refresh_rate=20))
    if checkpoint_dir is not None:
        callbacks += checkpoints(checkpoint_dir, getattr(model, "monitor", None))
    if trains:
        callbacks.append(CheckpointWhenStopped(None if checkpoint_dir is None else checkpoint_dir / "last.ckpt"))
    return callbacks


def checkpoints(folder: Path, monitor: str | None) -> list[Callback]:
    """`last.ckpt` after every epoch and, where the model names the metric that decides, `best.ckpt`.

    Args:
        folder: of the checkpoints.
        monitor: the metric; whether its lowest or its highest value is the best, the catalogue of metrics says.

    Raises:
        UserError: if the catalogue does not say whether lower or higher values of the metric are better.
    """
    last = ModelCheckpoint(folder, "last", enable_version_counter=False, save_on_train_epoch_end=True)
    if monitor is None:
        return [last]
    if (direction := direction_of(monitor)) is None:
        raise UserError(
            f"the model's monitor is {monitor}, of which neither direction is known to be better: choose another"
        )
    # The quality of samples is measured after epochs, everything else in a validation.
    return [BestCheckpoint(folder, monitor, MODES[direction], save_on_train_epoch_end=monitor == "val/fid"), last]
