"""A run that is told to stop keeps what it has learned."""

from pathlib import Path

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.utilities.exceptions import SIGTERMException


class CheckpointWhenStopped(Callback):
    """Writes `path` when the process gets SIGTERM, as clusters send before they take a machine away.

    Lightning raises SIGTERMException behind a whole batch, so that a resumed run goes on exactly. Other exceptions may
    come in the middle of a step: nothing is written for them.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Write it."""
        if isinstance(exception, SIGTERMException):
            trainer.save_checkpoint(self.path)
