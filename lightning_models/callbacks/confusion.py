"""Confusion matrices as figures."""

from typing import Any, Protocol, runtime_checkable

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.trainer.states import TrainerFn
from torchmetrics.classification.confusion_matrix import MulticlassConfusionMatrix

from lightning_models.drawing.figures import confusion_figure
from lightning_models.tracking.media import save_picture


@runtime_checkable
class HasConfusion(Protocol):
    """A classifier that fills a confusion matrix during an evaluation and resets it afterwards."""

    confusion: MulticlassConfusionMatrix
    class_names: list[str]


class ConfusionMatrices(Callback):
    """Writes `samples/confusion_matrix.png`, counts and shares, at the end of each evaluation, and logs it to W&B."""

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write it here: callbacks are called before the module, which resets its matrix."""
        self.write(trainer, pl_module, "validation")

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.write(trainer, pl_module, "test")

    def write(self, trainer: Trainer, pl_module: Any, part: str) -> None:
        """Draw the matrix of all processes, in the first one."""
        if not isinstance(pl_module, HasConfusion):
            return
        matrix = pl_module.confusion.compute()
        if not trainer.is_global_zero:
            return
        right, count = int(matrix.diag().sum()), int(matrix.sum())
        when = f" after epoch {trainer.current_epoch + 1}" if trainer.state.fn == TrainerFn.FITTING else ""
        title = f"{part}{when}: {right:,} of {count:,} right ({right / max(1, count):.2%})"
        save_picture(trainer, "confusion_matrix", confusion_figure(matrix, pl_module.class_names, title))
