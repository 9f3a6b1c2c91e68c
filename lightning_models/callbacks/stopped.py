"""Stops a run between two batches on request, with a checkpoint."""

from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.utilities.exceptions import SIGTERMException

from lab.compat.logging_step import rewind_logging_step
from lab.compat.sigterm import leave_signals_to_us, set_received_sigterm
from lab.stops import ask, asked


class CheckpointWhenStopped(Callback):
    """Writes the checkpoint `path` when the process is asked to stop (see `lab.stops`), and ends the run.

    Clusters ask with SIGTERM or SIGUSR1 before they take a machine away, and the processes of a run get it in different
    batches. They agree after each batch, so that all end after the same one, and the run resumes bit-exactly. A
    validation is finished first: a resumed run would never log its metrics. No checkpoint is written for exceptions,
    which may be raised in the middle of a step, nor before the first batch.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.is_agreed = self.has_trained = False
        self.validated_at = -1  # global step of the last validation

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        leave_signals_to_us(trainer)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """A stop that was asked for while the run was set up."""
        if self.agree(trainer):
            raise SIGTERMException

    def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
        self.has_trained = True
        self.agree(trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Hide it from Lightning, which would raise in the middle of the validation."""
        set_received_sigterm(trainer, False)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.sanity_checking:
            self.validated_at = trainer.global_step
            self.agree(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.agree(trainer)

    def agree(self, trainer: Trainer) -> bool:
        """Whether any process was asked to stop; then Lightning's loops end after this batch or epoch."""
        if not self.is_agreed:
            status = asked() or 0
            if trainer.world_size > 1:
                mine = torch.tensor(status, device=trainer.strategy.root_device)
                torch.distributed.all_reduce(mine, op=torch.distributed.ReduceOp.MAX)
                status = int(mine)
            if status:
                ask(status)
            self.is_agreed = status > 0
        if self.is_agreed:
            set_received_sigterm(trainer, True)
        return self.is_agreed

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if not isinstance(exception, SIGTERMException) or not self.has_trained or self.path is None:
            return
        if self.validated_at == trainer.global_step:
            rewind_logging_step(trainer)
        trainer.save_checkpoint(self.path)
