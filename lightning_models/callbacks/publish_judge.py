"""A trained classifier becomes the judge of generated images."""

from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor

from lab.errors import UserError
from lightning_models.feature_extractors.classifier import by, load_classifier, publish, sha256


class PublishJudge(Callback):
    """At the end of a fit, puts the classifier's best checkpoint where `validate` of a GAN or VAE looks for it.

    That is `judges/<name>.ckpt` in the user's cache, with its accuracy on the test images and its hash beside it.

    Args:
        name: of the data whose images it will judge: that of its class in small letters, such as mnist or digits.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Publish it.

        Raises:
            ValueError: if the run keeps no checkpoints.
        """
        if not trainer.is_global_zero:
            return
        checkpoint = best_checkpoint(trainer)
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        classifier = load_classifier(checkpoint)
        facts = {
            "accuracy": accuracy(classifier, data.test_images, data.test_labels),
            "test_images": len(data.test_images),
            "data": type(data).__name__,
            "image_shape": list(classifier.image_shape),
            "value_range": list(classifier.value_range),
            "classes": list(classifier.class_names),
        }
        path = publish(checkpoint, self.name, facts)
        print(
            f"judge        {path}: {by(classifier.image_shape)}, {facts['accuracy']:.2%} of {facts['test_images']:,} "
            f"test images right (sha256 {sha256(path)[:12]})"
        )


def best_checkpoint(trainer: Trainer) -> Path:
    """The best checkpoint of a run by what it watches, else its last one.

    Raises:
        ValueError: if there is none.
    """
    kept = [c for c in trainer.checkpoint_callbacks if isinstance(c, ModelCheckpoint) and c.best_model_path]
    kept.sort(key=lambda checkpoint: checkpoint.monitor is None)
    if not kept:
        raise UserError("PublishJudge needs a checkpoint: leave --trainer.enable_checkpointing on")
    return Path(kept[0].best_model_path)


@torch.no_grad()
def accuracy(classifier: Any, images: Tensor, labels: Tensor) -> float:
    """Share of `images` (images, channels, height, width) uint8 whose class is found, from 0 to 1."""
    low, high = classifier.value_range
    right = 0
    for part, wanted in zip(torch.split(images, 500), torch.split(labels, 500), strict=True):
        right += int((classifier(part.float() * ((high - low) / 255) + low).argmax(dim=1) == wanted).sum())
    return right / len(images)
