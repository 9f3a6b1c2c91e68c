"""A run that is told to stop keeps what it has learned."""

from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.utilities.exceptions import SIGTERMException


class CheckpointWhenStopped(Callback):
    """Writes `path` when the process gets SIGTERM, as clusters send before they take a machine away.

    Lightning raises SIGTERMException behind a whole batch, so that a resumed run goes on exactly. It also raises it in
    the middle of a validation, whose metrics a resumed run would never log (Lightning 2.6): a validation is finished
    first, then the run stops. Other exceptions may come in the middle of a step: nothing is written for them.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_held = False
        self.validated_at = -1  # the batch of the last validation

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """A signal that came in the last training batch waits."""
        self.hold(trainer)

    def on_validation_batch_end(self, trainer: Trainer, *args: Any) -> None:
        """A signal that came in this batch waits."""
        self.hold(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lightning may see it now; between two batches or epochs it stops."""
        self.validated_at = trainer.global_step
        if self.is_held:
            trainer._signal_connector.received_sigterm = True
            self.is_held = False

    def hold(self, trainer: Trainer) -> None:
        """Hide a signal from Lightning; there is no other way than its private flag."""
        if trainer.state.fn == "fit" and trainer.received_sigterm:
            trainer._signal_connector.received_sigterm = False
            self.is_held = True

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Write it."""
        if not isinstance(exception, SIGTERMException) or trainer.validating:
            return
        loop = trainer.fit_loop.epoch_loop
        if self.validated_at == trainer.global_step and not loop._is_training_done:
            loop._batches_that_stepped -= 1  # as in a checkpoint written by the validation; counted again on resuming
        trainer.save_checkpoint(self.path)
