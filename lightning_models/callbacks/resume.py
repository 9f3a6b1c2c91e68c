"""Resuming from a checkpoint that was written at the end of an epoch."""

from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from lab.compat.epoch_resume import resume_with_the_next_epoch


class ResumeAfterEpoch(Callback):
    """Lets a run that resumes at the end of an epoch start with the next one, also where `max_steps` is set."""

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        resume_with_the_next_epoch(trainer)
