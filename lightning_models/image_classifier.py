"""Image classification: cross entropy, with the penalties that report 5 adds to it."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from pytorch_lightning.cli import OptimizerCallable
from torch import Tensor
from torchmetrics.classification.confusion_matrix import MulticlassConfusionMatrix

from lab.errors import UserError
from lightning_models.losses.regularizers import l1_norm, l2_norm
from lightning_models.metrics.means import WeightedMeans
from lightning_models.modules.batch_counting import should_log
from lightning_models.modules.checks import check_at_least, check_share
from lightning_models.modules.clipping import ClipsGradients
from lightning_models.modules.injection import build, default
from lightning_models.modules.optimizers import build_optimizer
from lightning_models.modules.schedules import Schedule
from lightning_models.networks import Classifier, ImageShape


class ImageClassifier(ClipsGradients):
    """A network that classifies images.

    By default: report 5's network of 200 and 100 hidden units, trained with Adam.

    Args:
        image_shape: (channels, height, width); linked from the data.
        class_names: name of each class; linked from the data.
        value_range: lowest and highest pixel value; linked from the data.
        network: images -> logits and features.
        l1: weight in the loss of the sum of the absolute values of all kernels (not biases).
        l2: weight in the loss of the sum of their squares.
        label_smoothing: share of each label that is spread over all classes (Szegedy et al. 2016).
        optimizer: of all parameters.
        schedule: of the learning rate over the training.
        compile_networks: compile the network with torch.compile (adds tens of seconds at the start).

    Raises:
        UserError: for fewer than two classes, or an option out of its range.
    """

    monitor = "val/accuracy"

    def __init__(
        self,
        image_shape: ImageShape,
        class_names: list[str],
        value_range: tuple[float, float] = (0.0, 1.0),
        network: Callable[[ImageShape, int], Classifier] = default("lightning_models.networks.MLPClassifier"),
        l1: float = 0.0,
        l2: float = 0.0,
        label_smoothing: float = 0.0,
        optimizer: OptimizerCallable = default("torch.optim.Adam", lr=1e-3),
        schedule: Schedule = default("lightning_models.modules.schedules.Constant"),
        compile_networks: bool = False,
    ) -> None:
        super().__init__()
        self.keep_hyperparameters()
        check_at_least("model.l1", l1, 0)
        check_at_least("model.l2", l2, 0)
        check_share("model.label_smoothing", label_smoothing)
        if len(class_names) < 2:
            raise UserError(
                f"the data has {len(class_names)} class ({', '.join(class_names)}): a classifier needs at least two; "
                "keep more with --data.classes, or use a folder with a subfolder for each class"
            )
        channels, height, width = image_shape  # a checkpoint stores a list
        self.image_shape, self.class_names, self.value_range = (channels, height, width), list(class_names), value_range
        self.num_classes = len(class_names)
        self.l1, self.l2, self.label_smoothing = l1, l2, label_smoothing
        self.optimizer, self.schedule, self.compile_networks = optimizer, build(schedule, Schedule), compile_networks
        self.network = build(network, Classifier, image_shape, self.num_classes)
        self.network.to(memory_format=torch.channels_last)  # makes convolutions on the CPU 1.5 times as fast
        self.training_means = WeightedMeans(("loss", "cross_entropy", "accuracy"))
        self.evaluation_means = WeightedMeans(("loss", "cross_entropy"))
        self.confusion = MulticlassConfusionMatrix(self.num_classes)

    def configure_optimizers(self) -> Any:
        return self.schedule.configure(build_optimizer(self.optimizer, self.network.parameters()), self.trainer)

    def setup(self, stage: str) -> None:
        if self.compile_networks and stage == "fit":
            self.network.compile()

    def forward(self, images: Tensor) -> Tensor:
        """Logits (batch, num_classes) of images (batch, channels, height, width) in `value_range`.

        Raises:
            UserError: for images of another shape than the network was built for.
        """
        logits: Tensor = self.network(self.checked(images))
        return logits.float()  # losses are float32 also under bfloat16

    def features(self, images: Tensor) -> Tensor:
        """The input of the last layer, (batch, num_features), for images like those of `forward`."""
        features: Tensor = self.network.features(self.checked(images))
        return features.float()

    def checked(self, images: Tensor) -> Tensor:
        """Return `images` if they have the shape that the network was built for."""
        if images.shape[1:] != self.image_shape:
            raise UserError(
                f"the images are {' x '.join(map(str, images.shape[1:]))}, but this classifier was built for "
                f"{' x '.join(map(str, self.image_shape))} (channels x height x width): use images of that shape"
            )
        return images

    # ------------------------------------------------------------------------------------------------------- training

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Cross entropy plus penalties."""
        images, labels = batch
        if batch_idx == 0:
            self.check_labels(labels)
        logits = self(images)
        cross_entropy = F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)
        loss = cross_entropy + self.penalty()
        self.training_means.update((loss, cross_entropy, accuracy(logits, labels)), len(labels))
        if should_log(self.trainer):
            self.log_dict({"train/batch_loss": loss.detach(), "train/learning_rate": self.learning_rate()})
        return loss

    def penalty(self) -> Tensor | float:
        """The part of the loss added to the cross entropy; the logged loss includes it, as in Keras (report 5)."""
        penalty: Tensor | float = 0.0
        if self.l1:
            penalty = penalty + self.l1 * l1_norm(self.network)
        if self.l2:
            penalty = penalty + self.l2 * l2_norm(self.network)
        return penalty

    def learning_rate(self) -> float:
        """The optimizer's current learning rate."""
        rate: float = self.trainer.optimizers[0].param_groups[0]["lr"]
        return rate

    def on_train_epoch_end(self) -> None:
        """Log the means over the epoch, measured while the weights moved."""
        means = self.training_means.compute()  # of all processes already; sync_dist silences a warning
        self.log_dict({f"train/{name}": value for name, value in means.items()}, sync_dist=True)
        self.training_means.reset()

    # ----------------------------------------------------------------------------------------------------- evaluation

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        return self.evaluate(batch)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        return self.evaluate(batch)

    def evaluate(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Add a batch to the means and the confusion matrix; returns its logits, for the callbacks."""
        images, labels = batch
        self.check_labels(labels)
        logits: Tensor = self(images)
        cross_entropy = F.cross_entropy(logits, labels)
        self.evaluation_means.update((cross_entropy + self.penalty(), cross_entropy), len(labels))
        self.confusion.update(logits.argmax(dim=1), labels)
        return logits

    def on_validation_epoch_end(self) -> None:
        self.log_evaluation("val")

    def on_test_epoch_end(self) -> None:
        self.log_evaluation("test")

    def log_evaluation(self, prefix: str) -> None:
        """Log loss, cross entropy, accuracy and the accuracy of each class that has images, then reset them."""
        metrics = dict(self.evaluation_means.compute())
        matrix = self.confusion.compute()  # rows: true classes
        correct, images = matrix.diag().float(), matrix.sum(dim=1)
        metrics["accuracy"] = correct.sum() / images.sum()
        metrics |= {f"accuracy_{name}": correct[k] / images[k] for k, name in enumerate(self.class_names) if images[k]}
        self.log_dict({f"{prefix}/{name}": value for name, value in metrics.items()}, sync_dist=True)
        self.evaluation_means.reset()
        self.confusion.reset()

    def predict_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> dict[str, Any]:
        """The name and probability of the most probable class of each image."""
        probability, label = self(batch[0]).softmax(dim=1).max(dim=1)
        return {"category": [self.class_names[k] for k in label.tolist()], "probability": probability}

    def check_labels(self, labels: Tensor) -> None:
        """Raise UserError for a label outside the classes."""
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= self.num_classes:
            raise UserError(
                f"the data contains label {low if low < 0 else high}, but the classes are 0 to {self.num_classes - 1} "
                f"({', '.join(self.class_names)}): correct the labels, or add classes"
            )


def accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """Share of the images whose largest logit is that of their label: a scalar."""
    return (logits.detach().argmax(dim=1) == labels).float().mean()
