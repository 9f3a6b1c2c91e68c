"""best.ckpt: the weights with the best value of a metric."""

from pathlib import Path

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint


class BestCheckpoint(ModelCheckpoint):
    """Keeps `best.ckpt` by a metric that may be logged after some epochs only, or not at all.

    Lightning's own fails at the first epoch without the metric.
    """

    def __init__(self, folder: Path, metric: str, mode: str, save_on_train_epoch_end: bool) -> None:
        super().__init__(
            folder,
            "best",
            monitor=metric,
            mode=mode,
            enable_version_counter=False,
            save_on_train_epoch_end=save_on_train_epoch_end,
        )

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save if the metric was logged; a value of an earlier epoch is not better than itself and saves nothing."""
        if self.monitor in trainer.callback_metrics:
            super().on_train_epoch_end(trainer, pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See on_train_epoch_end."""
        if self.monitor in trainer.callback_metrics:
            super().on_validation_end(trainer, pl_module)
