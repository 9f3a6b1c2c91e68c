"""Sequences and their classes: palindromes, names, languages."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from pytorch_lightning.cli import OptimizerCallable
from torch import Tensor, nn
from torchmetrics.classification import MulticlassConfusionMatrix

from lab.errors import UserError
from lightning_models.metrics.classification import AccuracyByLength, balanced_accuracy, macro_f1
from lightning_models.metrics.means import WeightedMeans
from lightning_models.modules.batch_counting import should_log
from lightning_models.modules.checks import check_at_least
from lightning_models.modules.clipping import ClipsGradients
from lightning_models.modules.injection import build, default
from lightning_models.modules.latent import draw_own_rows
from lightning_models.modules.optimizers import build_optimizer
from lightning_models.modules.schedules import Schedule
from lightning_models.networks.naive_bayes import NaiveBayes
from lightning_models.networks.recurrent import Cell, Implementation
from lightning_models.networks.sequence_network import Pooling, SequenceNetwork

LENGTH_BINS = (5, 10, 20, 50)  # characters; where a bin of the accuracy by length begins
UNKNOWN = 0  # the number of characters that the vocabulary does not have
SequenceBatch = tuple[Tensor, Tensor, Tensor]  # sequences (batch, time), lengths (batch,), labels (batch,)


class SequenceClassifier(ClipsGradients):
    """A recurrent network that tells the class of a sequence.

    Args:
        class_names: names of the classes; linked from the data.
        vocabulary: characters of the data by their numbers, None for sequences of numbers; linked from the data.
        cell: rnn, lstm or gru.
        hidden_size: units of a layer and direction.
        num_layers: recurrent layers.
        bidirectional: read backwards as well.
        embedding_dim: length of the vector learned for each character; by default characters are one-hot.
        ngram_buckets: rows of a table of vectors for the 2-, 3- and 4-grams of characters; 0: no such table.
        skip: let the logits see the sum of these vectors too, past the recurrent layers.
        dropout: probability with which a number is zeroed in training: after the embedding, each layer and the pooling.
        character_dropout: probability with which a character becomes the unknown one in training, so that the network
            learns to do without. Only then is the unknown character's vector trained.
        pooling: what the logits are made of: the last state (last), the mean, the maximum, or both (mean_max).
        implementation: torch for torch.nn's cells, scratch for this project's; same weights, same results.
        forget_bias: initial bias of the LSTM's forget gates; by default random around 0.
        members: networks that are trained side by side on the same batches, from other first weights; what is said is
            the mean of their probabilities (an ensemble, worth half a point to a point where data is scarce). The loss
            is the mean of theirs, so that the gradient of each is 1 / members of what it would be alone. AdamW does not
            see that; SGD needs members times the rate, and the norm that trainer.gradient_clip_val bounds is about
            1 / sqrt(members) of that of one network.
        naive_bayes_buckets: rows of the table of a naive Bayes classifier over n-grams of characters, which is counted
            once on the training lines and whose log-likelihoods are added to the logits, with learned weights;
            0: none.
        naive_bayes_edges: let it also count the n-grams over the begin and the end of a line, if lines are read whole.
        class_balance: exponent of the class weights 1 / size ** class_balance in the training loss, scaled to a mean of
            1 over the samples: 0 for none, 1 for classes that count alike however rare they are.
        logit_adjustment: what is said of a sequence is the class with the largest logit - logit_adjustment * log(share
            of the class in the training data) (Menon et al. 2021): 0 for few mistakes among all sequences, 0.5 to 1 for
            few mistakes in every class. The training does not change: it may be set for `test` and `predict` only.
        label_smoothing: part of each training label that is spread over all classes.
        optimizer: of all parameters.
        schedule: how its learning rate moves over the training.

    Raises:
        ValueError: for an option out of its range, or a single class.
    """

    log_shares: Tensor

    def __init__(
        self,
        class_names: list[str],
        vocabulary: list[str] | None = None,
        cell: Cell = "lstm",
        hidden_size: int = 128,
        num_layers: int = 1,
        bidirectional: bool = False,
        embedding_dim: int | None = None,
        ngram_buckets: int = 0,
        skip: bool = False,
        dropout: float = 0.0,
        character_dropout: float = 0.0,
        pooling: Pooling = "last",
        implementation: Implementation = "torch",
        forget_bias: float | None = None,
        members: int = 1,
        naive_bayes_buckets: int = 0,
        naive_bayes_edges: bool = False,
        class_balance: float = 0.0,
        logit_adjustment: float = 0.0,
        label_smoothing: float = 0.0,
        optimizer: OptimizerCallable = default("torch.optim.Adam", lr=1e-3),
        schedule: Schedule = default("lightning_models.modules.schedules.Constant"),
    ) -> None:
        super().__init__()
        self.keep_hyperparameters()
        if len(class_names) < 2:
            raise UserError(f"there are {len(class_names)} classes, {class_names}: a classifier needs at least 2")
        check_at_least("model.members", members, 1)
        check_at_least("model.naive_bayes_buckets", naive_bayes_buckets, 0)
        check_at_least("model.class_balance", class_balance, 0)
        check_at_least("model.logit_adjustment", logit_adjustment, 0)
        for option, value in (("character_dropout", character_dropout), ("label_smoothing", label_smoothing)):
            if not 0 <= value < 1:
                raise UserError(f"model.{option} is {value}: use a number from 0 to below 1")
        for option, given in (("character_dropout", character_dropout), ("naive_bayes_buckets", naive_bayes_buckets)):
            if given and vocabulary is None:
                raise UserError(f"model.{option} is {given}, but the data are numbers: leave it out")
        if naive_bayes_edges and not naive_bayes_buckets:
            raise UserError("model.naive_bayes_edges is true, but naive_bayes_buckets is 0: give it, say, 262144")
        self.class_names, self.vocabulary = list(class_names), vocabulary
        self.character_dropout, self.label_smoothing = character_dropout, label_smoothing
        self.class_balance, self.logit_adjustment = class_balance, logit_adjustment
        self.monitor = ("val/balanced_accuracy" if class_balance or logit_adjustment else "val/accuracy", "max")
        self.optimizer, self.schedule = optimizer, build(schedule, Schedule)

        num_classes = len(class_names)
        self.networks = nn.ModuleList(
            SequenceNetwork(
                None if vocabulary is None else len(vocabulary),
                num_classes,
                cell,
                hidden_size,
                num_layers,
                bidirectional,
                embedding_dim,
                ngram_buckets,
                skip,
                dropout,
                pooling,
                implementation,
                forget_bias,
            )
            for _ in range(members)
        )
        self.naive_bayes: NaiveBayes | None = None
        if naive_bayes_buckets:
            self.naive_bayes = NaiveBayes(num_classes, naive_bayes_buckets, edges=naive_bayes_edges)
        self.class_weights: Tensor | None = None
        self.register_buffer("log_shares", torch.full((num_classes,), -math.log(num_classes)))
        self.training_means = WeightedMeans(("loss", "accuracy"))
        self.evaluation_means = WeightedMeans(("loss", "top3_accuracy"))
        self.confusion = MulticlassConfusionMatrix(num_classes)
        self.by_length = AccuracyByLength(LENGTH_BINS)

    def configure_optimizers(self) -> Any:
        """One optimizer, and the schedule of its learning rate."""
        return self.schedule.configure(build_optimizer(self.optimizer, self.parameters()), self.trainer)

    def forward(self, sequences: Tensor, lengths: Tensor) -> Tensor:
        """Logits (batch, classes) of sequences (batch, time) of `lengths` (batch,)."""
        logits = self.member_logits(sequences, lengths)
        if len(logits) == 1:
            return logits[0]
        return logits.log_softmax(dim=2).logsumexp(dim=0) - math.log(len(logits))  # of the mean probability

    def adjusted(self, logits: Tensor) -> Tensor:
        """Logits (batch, classes) as `logit_adjustment` wants them."""
        return logits - self.logit_adjustment * self.log_shares

    def member_logits(self, sequences: Tensor, lengths: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits of each network, (members, batch, classes); `labels` are those of training sequences."""
        given = sequences
        if labels is not None and self.character_dropout:
            time = sequences.shape[1]
            drawn = draw_own_rows(lambda rows: torch.rand(rows, time, device=self.device), len(sequences))
            given = sequences.masked_fill(drawn < self.character_dropout, UNKNOWN)
        logits = torch.stack([network(given, lengths) for network in self.networks])
        if self.naive_bayes is not None:
            logits = logits + self.naive_bayes(sequences, lengths, labels)
        return logits.float()  # the loss is float32 also under bfloat16

    # ------------------------------------------------------------------------------------------------------- training

    def on_fit_start(self) -> None:
        """Take from the data what is counted and not learned: the sizes of the classes, and n-grams."""
        if self.class_balance:
            counts = torch.tensor(self.from_data("class_counts", "class_balance"))
            self.class_weights = class_weights(counts, self.class_balance).to(self.device)
        if self.logit_adjustment or hasattr(getattr(self.trainer, "datamodule", None), "class_counts"):
            counts = torch.tensor(self.from_data("class_counts", "logit_adjustment")).clamp(min=1)
            self.log_shares.copy_((counts / counts.sum()).log())
        if self.naive_bayes is not None:
            batches = self.from_data("training_lines", "naive_bayes_buckets")()
            self.naive_bayes.count_all(tuple(part.to(self.device) for part in batch) for batch in batches)

    def from_data(self, name: str, option: str) -> Any:
        """What the data module knows under `name`.

        Raises:
            ValueError: if it does not; the message names the `option` that needs it.
        """
        found = getattr(getattr(self.trainer, "datamodule", None), name, None)
        if found is None:
            raise UserError(
                f"model.{option} is {self.hparams[option]}, but this data does not tell its {name}: leave it out"
            )
        return found

    def training_step(self, batch: SequenceBatch, batch_idx: int) -> Tensor:
        """The cross entropy of the logits; the softmax is part of it and stands nowhere else."""
        sequences, lengths, labels = batch
        logits = self.member_logits(sequences, lengths, labels).transpose(0, 1)  # (batch, members, classes)
        labels = labels[:, None].expand(logits.shape[:2])
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
        """Count on held-out sequences."""
        self.evaluate(batch)

    def test_step(self, batch: SequenceBatch, batch_idx: int) -> None:
        """Count on test sequences."""
        self.evaluate(batch)

    def evaluate(self, batch: SequenceBatch) -> None:
        """Add a batch to the means and counts; the loss is without weights, adjustment and smoothing."""
        sequences, lengths, labels = batch
        logits: Tensor = self(sequences, lengths)
        best = self.adjusted(logits).topk(min(3, logits.shape[1]), dim=1).indices
        in_top3 = (best == labels[:, None]).any(dim=1).float().mean()
        self.evaluation_means.update((F.cross_entropy(logits, labels), in_top3), len(labels))
        self.confusion.update(best[:, 0], labels)
        self.by_length.update(best[:, 0] == labels, lengths)

    def on_validation_epoch_end(self) -> None:
        """Log what was measured on the validation sequences."""
        self.log_evaluation("val")

    def on_test_epoch_end(self) -> None:
        """Log what was measured on the test sequences."""
        self.log_evaluation("test")

    def log_evaluation(self, prefix: str) -> None:
        """All metrics, over all sequences and processes; then start afresh."""
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
            behind = f"_{place + 1}" if place else ""
            columns[f"category{behind}"] = [self.class_names[number] for number in classes[:, place].tolist()]
            columns[f"probability{behind}"] = [round(p, 6) for p in probabilities[:, place].tolist()]
        return columns


def class_weights(counts: Tensor, exponent: float) -> Tensor:
    """Weights 1 / count ** exponent of the classes (classes,), scaled so that their mean over all samples is 1.

    A class without samples counts as one.
    """
    sizes = counts.clamp(min=1).float()
    weights = sizes**-exponent
    return weights * sizes.sum() / (weights * sizes).sum()
