"""A recurrent network that classifies whole sequences."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lab.errors import UserError
from lightning_models.modules.checks import check_at_least, check_at_least_one, check_choice, check_share
from lightning_models.networks.interfaces import SequenceNetwork
from lightning_models.networks.naive_bayes import hashed_ngrams
from lightning_models.networks.recurrent import Cell, Implementation, recurrent

Pooling = Literal["last", "mean", "max", "mean_max"]


class RecurrentNetwork(SequenceNetwork):
    """Characters or numbers -> recurrent layers -> pooling over time -> logits of the classes."""

    def __init__(
        self,
        vocab_size: int | None,
        num_classes: int,
        cell: Cell = "lstm",
        hidden_size: int = 128,
        num_layers: int = 1,
        bidirectional: bool = False,
        embedding_dim: int | None = None,
        ngram_buckets: int = 0,
        skip: bool = False,
        dropout: float = 0.0,
        pooling: Pooling = "last",
        implementation: Implementation = "torch",
        forget_bias: float | None = None,
    ) -> None:
        """Build the network.

        Args:
            vocab_size: Number of characters; None where a step of the input is one number.
            num_classes: Number of classes.
            cell: "rnn", "lstm" or "gru".
            hidden_size: Units of a layer and direction.
            num_layers: Number of recurrent layers.
            bidirectional: Read the sequence backwards as well.
            embedding_dim: Length of the vector learned for each character; by default characters are one-hot.
            ngram_buckets: Rows of a table of vectors for the 2-, 3- and 4-grams that end at a character, which are
                added to its own vector; n-grams share rows by chance (hashing). 0: no such table. With one, the end of
                a sequence becomes a step of its own, so that there are n-grams of endings as well.
            skip: Also feed the character vectors, summed and divided by the square root of their number, straight to
                the last layer (wide and deep, Cheng et al. 2016).
            dropout: Probability with which a value is zeroed in training, from 0 to below 1: after the embedding,
                between layers and after pooling.
            pooling: What the last layer sees: the last state of the last recurrent layer, the mean or the maximum of
                its outputs over time, or both (mean_max).
            implementation: "torch" for torch.nn's cells, "scratch" for this project's; same weights, same results.
            forget_bias: Initial bias of the LSTM's forget gates; by default random around 0.

        Raises:
            UserError: For an unknown choice, an option out of range, or options that contradict each other.
        """
        super().__init__(vocab_size, num_classes)
        check_choice("pooling", pooling, Pooling)
        check_at_least("ngram_buckets", ngram_buckets, 0)
        check_share("dropout", dropout)
        check_embedding(embedding_dim, ngram_buckets, vocab_size)
        self.pooling = pooling
        self.embedding = nn.Embedding(vocab_size, embedding_dim) if vocab_size and embedding_dim else None
        self.ngrams = NGramEmbedding(ngram_buckets, embedding_dim) if ngram_buckets and embedding_dim else None
        features = embedding_dim or vocab_size or 1
        self.dropout = nn.Dropout(dropout)
        self.recurrent = recurrent(
            cell,
            features,
            hidden_size,
            num_layers,
            bidirectional=bidirectional,
            dropout=dropout,
            implementation=implementation,
            forget_bias=forget_bias,
        )
        self.directions = 2 if bidirectional else 1
        pooled = (2 if pooling == "mean_max" else 1) * self.directions * hidden_size
        self.skip = skip
        self.output = nn.Linear(pooled + (features if skip else 0), num_classes)

    def forward(self, sequences: Tensor, lengths: Tensor, labels: Tensor | None = None) -> Tensor:
        is_inside = self.inside(sequences, lengths)
        if self.ngrams is not None:
            sequences, lengths = F.pad(sequences.masked_fill(~is_inside, 0), (0, 1)), lengths + 1
            is_inside = self.inside(sequences, lengths)
        embedded = self.embed(sequences)  # (batch, time, features)
        features = self.dropout(embedded)
        if bool(is_inside.all()):
            outputs, state = self.recurrent(features)
        else:
            packed = pack_padded_sequence(features, lengths.cpu(), batch_first=True, enforce_sorted=False)
            packed, state = self.recurrent(packed)
            if self.pooling != "last":
                outputs, _ = pad_packed_sequence(packed, batch_first=True, total_length=sequences.shape[1])
        if self.pooling == "last":
            hidden = state[0] if isinstance(state, tuple) else state  # (layers * directions, batch, hidden_size)
            pooled = torch.cat(list(hidden[-self.directions :]), dim=1)
        else:
            pooled = self.pool(outputs, is_inside)
        if self.skip:
            total = embedded.where(is_inside.unsqueeze(2), 0).sum(dim=1)
            pooled = torch.cat([pooled, total / lengths[:, None].sqrt()], dim=1)
        logits: Tensor = self.output(self.dropout(pooled))
        return logits

    def embed(self, sequences: Tensor) -> Tensor:
        """The vector of each step, (batch, time, features)."""
        if self.vocab_size is None:
            return sequences.unsqueeze(2)
        if self.embedding is None:
            return F.one_hot(sequences, self.vocab_size).to(self.output.weight.dtype)
        vectors: Tensor = self.embedding(sequences)
        return vectors if self.ngrams is None else vectors + self.ngrams(sequences)

    @staticmethod
    def inside(sequences: Tensor, lengths: Tensor) -> Tensor:
        """Mask of the steps within their sequence, bool (batch, time)."""
        return torch.arange(sequences.shape[1], device=lengths.device) < lengths[:, None]

    def pool(self, outputs: Tensor, is_inside: Tensor) -> Tensor:
        """Mean, maximum or both of the outputs (batch, time, features) within each sequence."""
        is_inside = is_inside.unsqueeze(2)
        pooled = []
        if self.pooling != "max":
            pooled.append(outputs.where(is_inside, 0).sum(dim=1) / is_inside.sum(dim=1))
        if self.pooling != "mean":
            pooled.append(outputs.where(is_inside, -torch.inf).amax(dim=1))
        return torch.cat(pooled, dim=1)


class NGramEmbedding(nn.Module):
    """The sum of the vectors of the 2-, 3- and 4-gram that end at each character (fastText, Joulin et al. 2017).

    N-grams are hashed into `buckets` rows: there is no list of known n-grams, and unseen ones have a vector too.
    """

    def __init__(self, buckets: int, dim: int, orders: tuple[int, ...] = (2, 3, 4)) -> None:
        super().__init__()
        self.buckets, self.orders = buckets, orders
        self.table = nn.Embedding(buckets, dim)
        nn.init.zeros_(self.table.weight)  # an unseen n-gram contributes nothing

    def forward(self, characters: Tensor) -> Tensor:
        """Vectors (batch, time, dim) of characters (batch, time) int64, as if zeros came before the first character."""
        rows = hashed_ngrams(characters, max(self.orders))[:, :, [order - 1 for order in self.orders]]
        vectors: Tensor = self.table(rows % self.buckets)  # (batch, time, orders, dim)
        return vectors.sum(dim=2)


def check_embedding(embedding_dim: int | None, ngram_buckets: int, vocab_size: int | None) -> None:
    """Raise UserError for an embedding of numbers, one without a size, or n-grams without an embedding."""
    if embedding_dim is not None:
        check_at_least_one("embedding_dim", [embedding_dim])
        if vocab_size is None:
            raise UserError(f"embedding_dim is {embedding_dim}, but the data are numbers: leave it out")
    if ngram_buckets and embedding_dim is None:
        raise UserError(f"ngram_buckets is {ngram_buckets}: it needs an embedding_dim")
