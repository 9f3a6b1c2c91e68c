"""Lets the real command say how far it is."""

from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from benchmarks.progress import Progress


class WriteProgress(Callback):
    """Adds the samples of each training batch to the `Progress` in `path`.

    Args:
        path: the file.
        is_text: samples are characters.
    """

    def __init__(self, path: str, is_text: bool = False) -> None:
        self.progress, self.is_text = Progress(Path(path), writes=True), is_text

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.progress.add(batch[0].numel() if self.is_text else len(batch[0]))
