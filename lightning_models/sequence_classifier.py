"""Classification of sequences: palindromes, names, languages."""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from pytorch_lightning.cli import OptimizerCallable
from torch import Tensor
from torchmetrics.classification.confusion_matrix import MulticlassConfusionMatrix

from lab.errors import UserError
from lightning_models.metrics.classification import AccuracyByLength, balanced_accuracy, macro_f1
from lightning_models.metrics.means import WeightedMeans
from lightning_models.modules.batch_counting import should_log
from lightning_models.modules.checks import check_at_least, check_share
from lightning_models.modules.clipping import ClipsGradients
from lightning_models.modules.injection import build, default
from lightning_models.modules.optimizers import build_optimizer
from lightning_models.modules.schedules import Schedule
from lightning_models.networks import SequenceNetwork
from lightning_models.networks.naive_bayes import NaiveBayes

LENGTH_BINS = (5, 10, 20, 50)  # lower ends of the bins of the accuracy by length, in characters
SequenceBatch = tuple[Tensor, Tensor, Tensor]  # sequences (batch, time), lengths (batch,), labels (batch,)


class SequenceClassifier(ClipsGradients):
    """A network that classifies sequences; by default a recurrent one.

    Args:
        class_names: names of the classes; linked from the data.
        vocabulary: characters of the data in the order of their indices, None for sequences of numbers; linked from
            the data.
        network: sequences -> logits: a RecurrentNetwork, alone or inside an Ensemble, CharacterDropout or
            NaiveBayesMixture.
        class_balance: exponent of the class weights 1 / size ** class_balance in the training loss, scaled to a mean of
            1 over the samples: 0 for no weights, 1 to make all classes count alike however rare they are.
        logit_adjustment: predict the class with the largest logit - logit_adjustment * log(share of the class in the
            training data) (Menon et al. 2021): 0 for few mistakes among all sequences, 0.5 to 1 for few mistakes in
            every class. It does not change the training and may be set for `test` and `predict` only.
        label_smoothing: share of each training label that is spread over all classes.
        optimizer: of all parameters.
        schedule: of the learning rate over the training.

    Raises:
        UserError: for an option out of its range, or a single class.
    """

    log_shares: Tensor

    def __init__(
        self,
        class_names: list[str],
        vocabulary: list[str] | None = None,
        network: Callable[[int | None, int], SequenceNetwork] = default("lightning_models.networks.RecurrentNetwork"),
        class_balance: float = 0.0,
        logit_adjustment: float = 0.0,
        label_smoothing: float = 0.0,
        optimizer: OptimizerCallable = default("torch.optim.Adam", lr=1e-3),
        schedule: Schedule = default("lightning_models.modules.schedules.Constant"),
    ) -> None:
        super().__init__()
        self.keep_hyperparameters()
        if len(class_names) < 2:
            raise UserError(
                f"the data has {len(class_names)} class ({', '.join(class_names)}): a classifier needs at least two"
            )
        check_at_least("model.class_balance", class_balance, 0)
        check_at_least("model.logit_adjustment", logit_adjustment, 0)
        check_share("model.label_smoothing", label_smoothing)
        self.class_names, self.vocabulary = list(class_names), vocabulary
        self.class_balance, self.logit_adjustment = class_balance, logit_adjustment
        self.label_smoothing = label_smoothing
        self.monitor = "val/balanced_accuracy" if class_balance or logit_adjustment else "val/accuracy"
        self.optimizer, self.schedule = optimizer, build(schedule, Schedule)

        num_classes = len(class_names)
        self.network = build(network, SequenceNetwork, None if vocabulary is None else len(vocabulary), num_classes)
        self.class_weights: Tensor | None = None
        self.register_buffer("log_shares", torch.full((num_classes,), -math.log(num_classes)))
        self.training_means = WeightedMeans(("loss", "accuracy"))
        self.evaluation_means = WeightedMeans(("loss", "top3_accuracy"))
        self.confusion = MulticlassConfusionMatrix(num_classes)
        self.by_length = AccuracyByLength(LENGTH_BINS)

    def configure_optimizers(self) -> Any:
        return self.schedule.configure(build_optimizer(self.optimizer, self.parameters()), self.trainer)

    def forward(self, sequences: Tensor, lengths: Tensor) -> Tensor:
        """Logits (batch, classes) of sequences (batch, time) of `lengths` (batch,), in float32."""
        logits: Tensor = self.network(sequences, lengths)
        return logits.float()

    def adjusted(self, logits: Tensor) -> Tensor:
        """Logits (batch, classes) after the logit adjustment, which predictions are made from."""
        return logits - self.logit_adjustment * self.log_shares

    # ------------------------------------------------------------------------------------------------------- training

    def on_fit_start(self) -> None:
        """Take from the data what is counted, not learned: class sizes, and the n-grams of naive Bayes."""
        if self.class_balance:
            counts = torch.tensor(self.from_data("class_counts", f"model.class_balance is {self.class_balance}"))
            self.class_weights = class_weights(counts, self.class_balance).to(self.device)
        if self.logit_adjustment or hasattr(getattr(self.trainer, "datamodule", None), "class_counts"):
            needed_by = f"model.logit_adjustment is {self.logit_adjustment}"
            counts = torch.tensor(self.from_data("class_counts", needed_by)).clamp(min=1)
            self.log_shares.copy_((counts / counts.sum()).log())
        for part in self.network.modules():
            if isinstance(part, NaiveBayes):
                batches = self.from_data("training_lines", "model.network has a NaiveBayesMixture")()
                part.count_all(tuple(tensor.to(self.device) for tensor in batch) for batch in batches)

    def from_data(self, name: str, needed_by: str) -> Any:
        """The attribute `name` of the data module.

        Raises:
            UserError: if there is none; the message starts with `needed_by`.
        """
        found = getattr(getattr(self.trainer, "datamodule", None), name, None)
        if found is None:
            raise UserError(f"{needed_by}, but this data does not provide its {name}: leave that option out")
        return found

    def training_step(self, batch: SequenceBatch, batch_idx: int) -> Tensor:
        """Cross entropy of the logits, averaged over the members of the network."""
        sequences, lengths, labels = batch
        # The loss is float32 also under bfloat16. The softmax is part of the loss and of nothing else.
        logits = self.network.member_logits(sequences, lengths, labels).float().transpose(0, 1)
        labels = labels[:, None].expand(logits.shape[:2])  # (batch, members); logits are (batch, members, classes)
        weights, smoothing = self.class_weights, self.label_smoothing
        losses = F.cross_entropy(
            logits.flatten(0, 1), labels.flatten(), weights, label_smoothing=smoothing, reduction="none"
        )
        # Not the weighted mean, whose scale would differ from batch to batch and between processes.
        loss = losses.mean()
        hits = (logits.detach().argmax(dim=2) == labels).float().mean()
        self.training_means.update((loss, hits), len(labels))
        if should_log(self.trainer):
            rate = self.trainer.optimizers[0].param_groups[0]["lr"]
            self.log_dict({"train/batch_loss": loss.detach(), "train/learning_rate": rate})
        return loss

    def on_train_epoch_end(self) -> None:
        """Log the means over the epoch, measured while the weights moved."""
        means = self.training_means.compute()
        self.log_dict({f"train/{name}": value for name, value in means.items()}, sync_dist=True)
        self.training_means.reset()

    # ----------------------------------------------------------------------------------------------------- evaluation

    def validation_step(self, batch: SequenceBatch, batch_idx: int) -> None:
        self.evaluate(batch)

    def test_step(self, batch: SequenceBatch, batch_idx: int) -> None:
        self.evaluate(batch)

    def evaluate(self, batch: SequenceBatch) -> None:
        """Add a batch to the means and counts; the loss is without class weights, adjustment and smoothing."""
        sequences, lengths, labels = batch
        logits: Tensor = self(sequences, lengths)
        best = self.adjusted(logits).topk(min(3, logits.shape[1]), dim=1).indices
        in_top3 = (best == labels[:, None]).any(dim=1).float().mean()
        self.evaluation_means.update((F.cross_entropy(logits, labels), in_top3), len(labels))
        self.confusion.update(best[:, 0], labels)
        self.by_length.update(best[:, 0] == labels, lengths)

    def on_validation_epoch_end(self) -> None:
        self.log_evaluation("val")

    def on_test_epoch_end(self) -> None:
        self.log_evaluation("test")

    def log_evaluation(self, prefix: str) -> None:
        """Log all metrics over all sequences and processes, then reset them."""
        matrix = self.confusion.compute()
        metrics = {
            **self.evaluation_means.compute(),
            "accuracy": matrix.diagonal().sum() / matrix.sum(),
            "balanced_accuracy": balanced_accuracy(matrix),
            "macro_f1": macro_f1(matrix),
            **{f"accuracy_length_{name}": value for name, value in self.by_length.compute().items()},
        }
        self.log_dict({f"{prefix}/{name}": value for name, value in metrics.items()}, sync_dist=True)
        for metric in (self.evaluation_means, self.confusion, self.by_length):
            metric.reset()

    def predict_step(self, batch: SequenceBatch, batch_idx: int) -> dict[str, list[Any]]:
        """The most probable class of each sequence, and the top three with their probabilities."""
        sequences, lengths, _ = batch
        logits = self.adjusted(self(sequences, lengths))
        probabilities, classes = logits.softmax(dim=1).topk(min(3, len(self.class_names)), dim=1)
        columns: dict[str, list[Any]] = {}
        for place in range(classes.shape[1]):
            suffix = f"_{place + 1}" if place else ""
            columns[f"category{suffix}"] = [self.class_names[number] for number in classes[:, place].tolist()]
            columns[f"probability{suffix}"] = [round(p, 6) for p in probabilities[:, place].tolist()]
        return columns


def class_weights(counts: Tensor, exponent: float) -> Tensor:
    """Weights 1 / count ** exponent of the classes (classes,), scaled so that their mean over all samples is 1.

    A class without samples is treated as one with a single sample.
    """
    sizes = counts.clamp(min=1).float()
    weights = sizes**-exponent
    return weights * sizes.sum() / (weights * sizes).sum()
