"""Samples a second, of which only the training itself is counted."""

import time
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer


class Throughput(Callback):
    """Logs `train/samples_per_second`, over all processes, since the last row of metrics."""

    def __init__(self) -> None:
        self.samples = 0
        self.total_samples = 0
        self.seconds = 0.0
        self.total_seconds = 0.0
        self.started = 0.0

    def on_train_batch_start(self, *args: Any) -> None:
        """Start the clock; between batches (validation, pictures, checkpoints) it stands still."""
        self.started = time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop it, and write the rate with the other metrics of the batch."""
        self.seconds += time.perf_counter() - self.started
        self.samples += len(batch[0]) * trainer.world_size
        every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
        batches = trainer.fit_loop.epoch_loop._batches_that_stepped + 1  # Lightning's own axis, in every kind of module
        if batches % every == 0:
            rate = self.samples / self.seconds
            pl_module.log("train/samples_per_second", rate)
            self.total_samples, self.samples = self.total_samples + self.samples, 0
            self.total_seconds, self.seconds = self.total_seconds + self.seconds, 0.0

    def samples_per_second(self) -> float | None:
        """The mean rate of the whole run; None before the first batch."""
        seconds = self.total_seconds + self.seconds
        return (self.total_samples + self.samples) / seconds if seconds else None
