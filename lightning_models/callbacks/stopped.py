"""A checkpoint on SIGTERM."""

from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.utilities.exceptions import SIGTERMException

from lab.compat.logging_step import rewind_logging_step
from lab.compat.sigterm import set_received_sigterm


class CheckpointWhenStopped(Callback):
    """Writes the checkpoint `path` on SIGTERM, which clusters send before they take a machine away.

    Lightning raises SIGTERMException after a whole batch, so that the run resumes bit-exactly. It also raises it during
    a validation, whose metrics a resumed run would never log (Lightning 2.6); here the validation is finished first.
    No checkpoint is written for other exceptions, which may be raised in the middle of a step.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_deferred = False  # a signal that Lightning must not see before the validation ends
        self.validated_at = -1  # global step of the last validation

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.defer_signal(trainer)  # one that came during the last training batch

    def on_validation_batch_end(self, trainer: Trainer, *args: Any) -> None:
        self.defer_signal(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.validated_at = trainer.global_step
        if self.is_deferred:
            set_received_sigterm(trainer, True)
            self.is_deferred = False

    def defer_signal(self, trainer: Trainer) -> None:
        """Hide a signal from Lightning until the validation ends."""
        if trainer.state.fn == "fit" and trainer.received_sigterm:
            set_received_sigterm(trainer, False)
            self.is_deferred = True

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if not isinstance(exception, SIGTERMException) or trainer.validating:
            return
        if self.validated_at == trainer.global_step:
            rewind_logging_step(trainer)
        trainer.save_checkpoint(self.path)
