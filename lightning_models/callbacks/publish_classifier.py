"""Publishes a trained classifier as a feature extractor."""

from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor

from lab.errors import UserError
from lightning_models.feature_extractors.classifier import dimensions, load_classifier, publish, sha256


class PublishClassifier(Callback):
    """At the end of a fit, publishes the classifier's best checkpoint as the feature extractor of its data.

    It is copied to `feature_extractors/<name>.ckpt` in the user's cache, where GANs and VAEs look for it, with its
    accuracy on the test images and its hash in a .json.

    Args:
        name: name of the data class in lower case, such as mnist or digits.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
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
            f"classifier   {path}: {dimensions(classifier.image_shape)}, "
            f"{facts['accuracy']:.2%} of {facts['test_images']:,} test images correct (sha256 {sha256(path)[:12]})"
        )


def best_checkpoint(trainer: Trainer) -> Path:
    """The best checkpoint of a run by its monitored metric, else the last one.

    The last one, too, if it is as good as the best: of a hundred validation images many epochs have the same accuracy,
    and the first of them comes long before a schedule has brought the learning rate down.

    Raises:
        UserError: if the run has written none.
    """
    written = [c for c in trainer.checkpoint_callbacks if isinstance(c, ModelCheckpoint) and c.best_model_path]
    written.sort(key=lambda checkpoint: checkpoint.monitor is None)
    if not written:
        raise UserError("PublishClassifier needs a checkpoint: do not set --trainer.enable_checkpointing false")
    best, last = written[0], written[-1]
    is_as_good = best.monitor is not None and best.best_model_score == trainer.callback_metrics.get(best.monitor)
    return Path((last if is_as_good else best).best_model_path)


@torch.no_grad()
def accuracy(classifier: Any, images: Tensor, labels: Tensor) -> float:
    """Share of `images` (images, channels, height, width) uint8 that are classified correctly, from 0 to 1."""
    low, high = classifier.value_range
    num_correct = 0
    for part, expected in zip(torch.split(images, 500), torch.split(labels, 500), strict=True):
        num_correct += int((classifier(part.float() * ((high - low) / 255) + low).argmax(dim=1) == expected).sum())
    return num_correct / len(images)
