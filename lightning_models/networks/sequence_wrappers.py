"""Networks around another network that change its input or its logits and keep its interface.

The inner network is injected, so wrappers nest. CharacterDropout goes inside NaiveBayesMixture, which must see the
original characters.
"""

import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from lab.errors import UserError
from lightning_models.modules.checks import check_at_least, check_share
from lightning_models.modules.injection import build, default
from lightning_models.modules.latent import draw_own_rows
from lightning_models.networks.interfaces import SequenceNetwork
from lightning_models.networks.naive_bayes import NaiveBayes

UNKNOWN = 0  # index of the character that stands for all characters outside the vocabulary

InnerNetwork = Callable[[int | None, int], SequenceNetwork]


class SequenceWrapper(SequenceNetwork):
    """A network around another one; its logits are those of the mean of its members' probabilities."""

    def forward(self, sequences: Tensor, lengths: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits (batch, num_classes)."""
        return log_mean_probability(self.member_logits(sequences, lengths, labels))

    @abstractmethod
    def member_logits(self, sequences: Tensor, lengths: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits (members, batch, num_classes)."""


class Ensemble(SequenceWrapper):
    """Networks that train side by side on the same batches from different initial weights.

    Their probabilities are averaged, which is worth half a point to a point of accuracy where data is scarce. The
    training loss is the mean of their losses, so the gradient of each member is 1 / members of what it would be alone.
    AdamW does not notice; SGD needs `members` times the learning rate, and the gradient norm that
    trainer.gradient_clip_val bounds is about 1 / sqrt(members) of that of a single network.
    """

    def __init__(
        self,
        vocab_size: int | None,
        num_classes: int,
        network: InnerNetwork = default("lightning_models.networks.recurrent_network.RecurrentNetwork"),
        members: int = 3,
    ) -> None:
        """Build the members.

        Args:
            vocab_size: Number of characters; None where a step of the input is one number.
            num_classes: Number of classes.
            network: Each member.
            members: Number of members, at least 1.

        Raises:
            UserError: If `members` is below 1, or `network` is an object, which can be built only once.
        """
        super().__init__(vocab_size, num_classes)
        check_at_least("members", members, 1)
        if isinstance(network, SequenceNetwork):
            raise UserError("Ensemble builds its members itself: give it a class or a description, not an object")
        self.networks = nn.ModuleList(build(network, SequenceNetwork, vocab_size, num_classes) for _ in range(members))

    def member_logits(self, sequences: Tensor, lengths: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits (members, batch, num_classes)."""
        members: list[Any] = list(self.networks)
        return torch.cat([member.member_logits(sequences, lengths, labels) for member in members])


class CharacterDropout(SequenceWrapper):
    """Replaces random characters by the unknown one in training, so that the network learns to do without them.

    Only this trains the vector of the unknown character. All members of an inner ensemble see the same characters.
    """

    def __init__(
        self,
        vocab_size: int | None,
        num_classes: int,
        network: InnerNetwork = default("lightning_models.networks.recurrent_network.RecurrentNetwork"),
        probability: float = 0.05,
    ) -> None:
        """Build the inner network.

        Args:
            vocab_size: Number of characters.
            num_classes: Number of classes.
            network: The network that reads the remaining characters.
            probability: Probability with which a character is replaced, from 0 to below 1.

        Raises:
            UserError: If the data are numbers, `probability` is out of range, or the inner network counts n-grams.
        """
        super().__init__(vocab_size, num_classes)
        check_share("probability", probability)
        if vocab_size is None:
            raise UserError("CharacterDropout needs characters, but the data are numbers: leave it out")
        self.probability = probability
        self.network = build(network, SequenceNetwork, vocab_size, num_classes)
        if any(isinstance(part, NaiveBayes) for part in self.network.modules()):
            raise UserError(
                "NaiveBayesMixture is inside CharacterDropout and would count replaced characters: "
                "put CharacterDropout inside NaiveBayesMixture"
            )

    def member_logits(self, sequences: Tensor, lengths: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits (members, batch, num_classes)."""
        if self.training and self.probability:
            time, device = sequences.shape[1], sequences.device
            drawn = draw_own_rows(lambda rows: torch.rand(rows, time, device=device), len(sequences))
            sequences = sequences.masked_fill(drawn < self.probability, UNKNOWN)
        return self.network.member_logits(sequences, lengths, labels)


class NaiveBayesMixture(SequenceWrapper):
    """Adds the log-likelihoods of naive Bayes over character n-grams to the logits, with learned weights.

    The n-grams are counted once, on the training lines, before training starts (`SequenceClassifier.on_fit_start`).
    """

    def __init__(
        self,
        vocab_size: int | None,
        num_classes: int,
        network: InnerNetwork = default("lightning_models.networks.recurrent_network.RecurrentNetwork"),
        buckets: int = 262_144,
        edges: bool = False,
    ) -> None:
        """Build the inner network and an empty table of counts.

        Args:
            vocab_size: Number of characters.
            num_classes: Number of classes.
            network: The network whose logits the log-likelihoods are added to.
            buckets: Rows of the table of counts, at least 1; n-grams share rows by chance (hashing).
            edges: Also count n-grams across the beginning and end of a line. Only for lines that are read whole.

        Raises:
            UserError: If the data are numbers, or `buckets` is below 1.
        """
        super().__init__(vocab_size, num_classes)
        check_at_least("buckets", buckets, 1)
        if vocab_size is None:
            raise UserError("NaiveBayesMixture needs characters, but the data are numbers: leave it out")
        self.network = build(network, SequenceNetwork, vocab_size, num_classes)
        self.naive_bayes = NaiveBayes(num_classes, buckets, edges=edges)

    def member_logits(self, sequences: Tensor, lengths: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits (members, batch, num_classes); with `labels`, each line is left out of its own counts."""
        logits = self.network.member_logits(sequences, lengths, labels)
        log_likelihoods: Tensor = self.naive_bayes(sequences, lengths, labels)
        return logits + log_likelihoods


def log_mean_probability(member_logits: Tensor) -> Tensor:
    """Logits (batch, classes) whose softmax is the mean of the members' probabilities (members, batch, classes).

    Those of a single member are returned unchanged.
    """
    if len(member_logits) == 1:
        return member_logits[0]
    return member_logits.float().log_softmax(dim=2).logsumexp(dim=0) - math.log(len(member_logits))
