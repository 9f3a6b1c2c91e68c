"""Training speed."""

import time
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from lab.compat.logging_step import writes_a_row


class Throughput(Callback):
    """Logs `train/samples_per_second` over all processes since the last row of metrics.

    Only training batches are timed, not what happens between them (validation, pictures, checkpoints).
    """

    def __init__(self) -> None:
        self.samples = 0
        self.total_samples = 0
        self.seconds = 0.0
        self.total_seconds = 0.0
        self.started = 0.0

    def on_train_batch_start(self, *args: Any) -> None:
        self.started = time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.seconds += time.perf_counter() - self.started
        self.samples += len(batch[0]) * trainer.world_size
        if writes_a_row(trainer):
            pl_module.log("train/samples_per_second", self.samples / self.seconds)
            self.total_samples, self.samples = self.total_samples + self.samples, 0
            self.total_seconds, self.seconds = self.total_seconds + self.seconds, 0.0

    def samples_per_second(self) -> float | None:
        """The mean rate of this command's training; None before the first batch."""
        seconds = self.total_seconds + self.seconds
        return (self.total_samples + self.samples) / seconds if seconds else None
