"""The progress bar."""

from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import TQDMProgressBar

SHOWN = ("loss", "nats_per_char")


class ProgressBar(TQDMProgressBar):
    """Shows the training losses and the samples per second of the last row of metrics."""

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """The values by name, without `train/`, so that they fit on a line."""
        logged = trainer.logged_metrics
        losses = {name.removeprefix("train/"): value for name, value in logged.items() if name.endswith(SHOWN)}
        shown: dict[str, Any] = {name: f"{float(value):.3g}" for name, value in losses.items()}
        if "train/samples_per_second" in logged:
            shown["samples/s"] = f"{float(logged['train/samples_per_second']):,.0f}"
        return shown
