"""The worst mistakes of an image classifier."""

from typing import Any

import numpy as np
import torch
from PIL import Image
from PIL.Image import Resampling
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor

from lightning_models.drawing.figures import DPI, new_figure, to_image
from lightning_models.drawing.pictures import SMALLEST_SIDE
from lightning_models.image_classifier import ImageClassifier
from lightning_models.tracking.media import save_picture

CELL, GAP, LINE = 160, 24, 24  # pixels: of an image and the gap beside it, of the gap, of a line of text
LEAST_WIDTH = 550  # pixels, of the figure


class WorstMistakes(Callback):
    """Writes `samples/worst_mistakes.png`: the images whose true class was given the lowest probability.

    After `fit` of the last validation, after `validate` and `test` of that evaluation.

    Args:
        side: rows and columns of the grid.
    """

    def __init__(self, side: int = 6) -> None:
        self.side = side
        self.forget()

    def forget(self) -> None:
        """Forget the mistakes of the last evaluation."""
        self.loss = torch.empty(0)  # -log p(true class), the worst first
        self.images = torch.empty(0)
        self.labels = torch.empty(0, 2, dtype=torch.long)  # true and predicted class

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.forget()

    def on_test_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.forget()

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, *args: Any
    ) -> None:
        self.look(pl_module, outputs, batch)

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, *args: Any
    ) -> None:
        self.look(pl_module, outputs, batch)

    def look(self, pl_module: LightningModule, logits: Any, batch: Any) -> None:
        """Add the mistakes of a batch to the worst ones; `logits` is what the evaluation step returned."""
        if not isinstance(pl_module, ImageClassifier):
            return
        images, labels = batch
        predicted = logits.argmax(dim=1)
        wrong = (predicted != labels).nonzero().flatten()
        if not len(wrong):
            return
        loss = -logits[wrong].log_softmax(dim=1).gather(1, labels[wrong, None]).flatten().cpu()
        images, pairs = images[wrong].cpu(), torch.stack([labels[wrong], predicted[wrong]], dim=1).cpu()
        if len(self.loss):
            loss, images = torch.cat([self.loss, loss]), torch.cat([self.images, images])
            pairs = torch.cat([self.labels, pairs])
        worst = loss.argsort(descending=True, stable=True)[: self.side**2]
        self.loss, self.images, self.labels = loss[worst], images[worst], pairs[worst]

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw them unless this is part of a fit: the figure takes longer than an epoch of a small network."""
        if trainer.state.fn != TrainerFn.FITTING:
            self.write(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.write(trainer, pl_module)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.write(trainer, pl_module)

    def write(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the grid of the first process's images; none if it has no mistakes."""
        if not isinstance(pl_module, ImageClassifier) or not trainer.is_global_zero or not len(self.loss):
            return
        low, high = pl_module.value_range
        images = ((self.images.float() - low) / (high - low)).clamp(0, 1)
        save_picture(trainer, "worst_mistakes", self.figure(images, pl_module.class_names))

    def figure(self, images: Tensor, class_names: list[str]) -> Any:
        """Each image under "true -> predicted" and the probability of the true class.

        Images and texts are put on the figure itself: 36 axes would take most of the time of a short run.
        """
        columns = min(len(images), self.side)
        rows = -(-len(images) // columns)
        width, height = max(CELL * columns, LEAST_WIDTH), (CELL + LINE) * rows + 2 * LINE
        figure = new_figure(width / DPI, height / DPI, layout=None)
        title = "worst mistakes: true \N{RIGHTWARDS ARROW} predicted, probability of the true class"
        figure.text(0.5, 1 - LINE / height, title, ha="center", va="center", fontsize=9)
        for number, (image, (true, predicted), loss) in enumerate(
            zip(images, self.labels.tolist(), self.loss, strict=False)
        ):
            row, column = divmod(number, columns)
            left, top = (width - CELL * columns) // 2 + CELL * column, height - 2 * LINE - (CELL + LINE) * row
            smoothly = Resampling.BICUBIC if max(image.shape) < SMALLEST_SIDE else Resampling.NEAREST
            pixels = (image.permute(1, 2, 0).squeeze(-1).numpy() * 255).round().astype(np.uint8)
            shown = Image.fromarray(pixels).convert("RGB").resize((CELL - GAP, CELL - GAP), smoothly)
            figure.figimage(np.asarray(shown), left + GAP // 2, top - LINE - CELL + GAP)
            names = f"{class_names[true]} \N{RIGHTWARDS ARROW} {class_names[predicted]}"
            text = f"{names}  {percent(loss.neg().exp().item())}"
            middle = ((left + CELL / 2) / width, (top - LINE / 2) / height)
            figure.text(*middle, text, ha="center", va="center", fontsize=7.5)
        return to_image(figure)


def percent(share: float) -> str:
    """`12.3%`, or `<0.1%`."""
    return "<0.1%" if share < 0.001 else f"{share:.1%}"
