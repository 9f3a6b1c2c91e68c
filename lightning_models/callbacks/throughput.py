"""Training speed."""

import time
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from lab.compat.logging_step import writes_a_row

PARTS = ("batches", "between_batches", "validation")


class Throughput(Callback):
    """Logs `train/samples_per_second` over all processes since the last row of metrics.

    It is wall time: the training batches and everything between them (the loader, callbacks, pictures, checkpoints),
    without validations.
    """

    def __init__(self) -> None:
        self.samples = 0  # since the last row
        self.total_samples = 0
        self.seconds = dict.fromkeys(PARTS, 0.0)  # of this command's training
        self.last_row = 0.0  # training seconds at the last row
        self.mark = 0.0

    def spend(self, part: str) -> None:
        """The time since the last call was spent on this part."""
        now = time.perf_counter()
        self.seconds[part] += now - self.mark
        self.mark = now

    @property
    def training_seconds(self) -> float:
        """All but validations."""
        return self.seconds["batches"] + self.seconds["between_batches"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.mark = time.perf_counter()

    def on_train_batch_start(self, *args: Any) -> None:
        self.spend("between_batches")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.spend("batches")
        self.samples += len(batch[0]) * trainer.world_size
        if writes_a_row(trainer):
            pl_module.log("train/samples_per_second", self.samples / (self.training_seconds - self.last_row))
            self.total_samples, self.samples = self.total_samples + self.samples, 0
            self.last_row = self.training_seconds

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.spend("between_batches")

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.spend("validation")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.spend("between_batches")

    def samples_per_second(self) -> float | None:
        """The mean rate of this command's training; None before the first batch."""
        samples = self.total_samples + self.samples
        return samples / self.training_seconds if samples else None
