"""Confusion matrices as numbers and as figures."""

import time
from typing import Any, Protocol, runtime_checkable

import torch
from PIL.Image import Image
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor
from torchmetrics.classification.confusion_matrix import MulticlassConfusionMatrix

from lightning_models.drawing.figures import confusion_figure
from lightning_models.metrics.catalogue import direction_of
from lightning_models.tracking.media import save_picture, write_table


@runtime_checkable
class HasConfusion(Protocol):
    """A classifier that fills a confusion matrix during an evaluation and resets it afterwards."""

    confusion: MulticlassConfusionMatrix
    class_names: list[str]


class ConfusionMatrices(Callback):
    """Writes the confusion matrix of each evaluation: counts, and a figure of counts and shares, which W&B gets, too.

    `confusion_matrix.csv` has the counts of the last evaluation, a row a true class, `samples/confusion_matrix.png` the
    figure. To draw takes longer than an epoch of a small network, so during a fit it is drawn no more often than
    `every_seconds`, and at its end. Then `samples/confusion_matrix_best.png` shows the validation with the best value
    of the model's `monitor`.

    Args:
        every_seconds: time between two figures of a fit.
    """

    def __init__(self, every_seconds: float = 60.0) -> None:
        self.every_seconds = every_seconds
        self.drawn_at = time.monotonic()
        self.last: tuple[Tensor, str] | None = None  # the matrix and the title of the last evaluation
        self.best: dict[str, Any] = {}  # the same of the best validation, and its value of the monitor

    def state_dict(self) -> dict[str, Any]:
        """The best validation so far."""
        return self.best

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = state_dict

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take it here: callbacks are called before the module, which resets its matrix."""
        self.take(trainer, pl_module, "validation")

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.take(trainer, pl_module, "test")

    def take(self, trainer: Trainer, pl_module: Any, part: str) -> None:
        """Keep the matrix of all processes, in the first one."""
        if not isinstance(pl_module, HasConfusion):
            return
        matrix = pl_module.confusion.compute()
        if not trainer.is_global_zero or trainer.sanity_checking:
            return
        right, count = int(matrix.diag().sum()), int(matrix.sum())
        when = f" after epoch {trainer.current_epoch + 1}" if trainer.state.fn == TrainerFn.FITTING else ""
        self.last = matrix.cpu(), f"{part}{when}: {right:,} of {count:,} right ({right / max(1, count):.2%})"
        rows = zip(pl_module.class_names, self.last[0].tolist(), strict=True)
        columns = ["true class", *pl_module.class_names]
        write_table(trainer, "confusion_matrix", columns, [[name, *counts] for name, counts in rows])

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw it unless it is too early for that in a fit; now the metrics of the validation are known."""
        if self.last is None or trainer.sanity_checking:
            return
        self.keep_best(trainer, getattr(pl_module, "monitor", None))
        if trainer.state.fn != TrainerFn.FITTING or time.monotonic() - self.drawn_at >= self.every_seconds:
            self.draw_last(trainer, pl_module)

    def keep_best(self, trainer: Trainer, monitor: str | None) -> None:
        """Keep the last validation if it is the first or the best one."""
        if self.last is None or monitor is None or monitor not in trainer.callback_metrics:
            return
        value = trainer.callback_metrics[monitor].item()
        sign = -1 if direction_of(monitor) == "minimize" else 1
        if not self.best or sign * value > sign * self.best["value"]:
            matrix, title = self.last
            self.best = {"value": value, "matrix": matrix, "title": title}

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.draw_last(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the last one and the best one."""
        last = self.last
        drawn = self.draw_last(trainer, pl_module)
        if self.best and trainer.is_global_zero:
            is_best = last is not None and last[1] == self.best["title"] and torch.equal(last[0], self.best["matrix"])
            picture = drawn if drawn is not None and is_best else figure_of(pl_module, **self.best)
            save_picture(trainer, "confusion_matrix_best", picture)

    def draw_last(self, trainer: Trainer, pl_module: LightningModule) -> Image | None:
        """Draw the one that was taken last, once."""
        if self.last is None:
            return None
        picture = figure_of(pl_module, *self.last)
        save_picture(trainer, "confusion_matrix", picture)
        self.last, self.drawn_at = None, time.monotonic()
        return picture


def figure_of(classifier: Any, matrix: Tensor, title: str, value: float | None = None) -> Image:
    """The figure of a matrix; `value` is that of the monitor, which is not shown."""
    return confusion_figure(matrix, classifier.class_names, title)
