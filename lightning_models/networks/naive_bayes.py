"""Naive Bayes over character n-grams, as a part of a network."""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MULTIPLIER, MODULUS = 1_000_003, 2_147_483_647  # primes, of the polynomial hash of n-grams
MIXER = 0x45D9F3B  # odd


def hashed_ngrams(characters: Tensor, most: int) -> Tensor:
    """A number from 0 to MODULUS - 1 for each 1- to `most`-gram that ends at a character, (batch, time, most) int64.

    `characters` is (batch, time) int64. Before the first one there are zeros. Equal n-grams have equal numbers,
    different ones nearly never, and their remainders are as good as drawn by chance, whatever they are divided by.
    """
    orders = []
    hashed = torch.zeros_like(characters)
    for order in range(1, most + 1):
        earlier = F.pad(characters, (order - 1, 0))[:, : characters.shape[1]]
        hashed = (hashed * MULTIPLIER + earlier + order) % MODULUS
        orders.append(hashed)
    return mixed(torch.stack(orders, dim=2))


def mixed(numbers: Tensor) -> Tensor:
    """Numbers below 2**31 as others: alike ones no longer are, equal ones stay equal and different ones different.

    Without it the 2-grams of two alphabets share a few rows of a table of 50,000, because MULTIPLIER is nearly a
    multiple of that.
    """
    for _ in range(2):
        numbers = (((numbers >> 16) ^ numbers) * MIXER) & MODULUS
    return (numbers >> 16) ^ numbers


class NaiveBayes(nn.Module):
    """The log-likelihoods of the classes by multinomial naive Bayes over hashed n-grams, each order with a weight.

    With few lines a class, counting is hard to beat: what was seen once already speaks for its class, and what was
    never seen for none (Ng & Jordan 2002). The counts are taken from the training lines once (`count_all`); what is
    learned is how much each order is worth beside a network's own logits. For that the training lines must look like
    new ones: `forward` leaves all n-grams of such a line out of the counts of its class (leave-one-out), or else naive
    Bayes would seem to be always right.

    Args:
        num_classes: classes.
        buckets: rows of the table of counts; n-grams share rows by chance.
        most: longest n-gram.
        smoothing: what is added to each count (Lidstone).
        edges: also count the n-grams over the begin or the end of a line ("Mc" there is not "mc" within), with weights
            of their own. Only for lines that are read as a whole: a cut is no end.
    """

    counts: Tensor
    totals: Tensor

    def __init__(
        self, num_classes: int, buckets: int, most: int = 5, smoothing: float = 0.1, edges: bool = False
    ) -> None:
        super().__init__()
        self.buckets, self.most, self.smoothing, self.edges = buckets, most, smoothing, edges
        self.register_buffer("counts", torch.zeros(buckets, num_classes))
        self.register_buffer("totals", torch.zeros(num_classes))
        # Of the n-grams within a line, and of those at its edges. They overlap: together they say less than as many
        # independent ones would.
        self.weights = nn.Parameter(torch.full((2 if edges else 1, most), 0.5 / most))

    def count_all(self, batches: Iterable[tuple[Tensor, ...]]) -> None:
        """Start afresh and count batches of (characters, lengths, labels)."""
        self.counts.zero_()
        self.totals.zero_()
        for characters, lengths, labels in batches:
            self.count(characters, lengths, labels)

    @torch.no_grad()
    def count(self, characters: Tensor, lengths: Tensor, labels: Tensor) -> None:
        """Add the n-grams of lines (batch, time) of `lengths` (batch,) to those of the classes `labels` (batch,)."""
        rows, groups = self._rows(characters, lengths)
        is_counted = groups >= 0
        classes = labels[:, None, None].expand_as(rows)[is_counted]
        self.counts.index_put_((rows[is_counted], classes), torch.ones((), device=rows.device), accumulate=True)
        self.totals += classes.bincount(minlength=len(self.totals))

    def forward(self, characters: Tensor, lengths: Tensor, labels: Tensor | None = None) -> Tensor:
        """Weighted log-likelihoods (batch, num_classes), up to a constant of each line, of lines (batch, time).

        Args:
            characters: (batch, time) int64.
            lengths: (batch,) int64.
            labels: (batch,) int64 if these are lines that were counted, which then are left out of the counts.
        """
        rows, groups = self._rows(characters, lengths)
        counts, totals = self.counts[rows], self.totals[None]  # (batch, time, most, num_classes), (1, num_classes)
        if labels is not None:
            own = F.one_hot(labels, len(self.totals)).to(counts.dtype)
            counts = (counts - own[:, None, None] * self._times(rows, groups).unsqueeze(3)).clamp(min=0)
            totals = (totals - own * (groups >= 0).sum(dim=(1, 2))[:, None]).clamp(min=0)
        logs = (counts + self.smoothing).log() - (totals + self.smoothing * self.buckets).log()[:, None, None]
        logs = logs - logs.mean(dim=3, keepdim=True)
        by_order = [logs.where((groups == group).unsqueeze(3), 0).sum(dim=1) for group in range(len(self.weights))]
        return torch.einsum("gbmc,gm->bc", torch.stack(by_order), self.weights)  # over (batch, most, num_classes) each

    def _times(self, rows: Tensor, groups: Tensor) -> Tensor:
        """How often its line counts in the row of each n-gram, (batch, time, most), from what `_rows` returns."""
        lines = torch.arange(len(rows), device=rows.device)[:, None, None]
        _, places = torch.unique(lines * self.buckets + rows, return_inverse=True)  # a number for each row of a line
        times: Tensor = places[groups >= 0].bincount(minlength=places.numel())[places]
        return times

    def _rows(self, characters: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Row of each n-gram and the group of its weight (-1: it does not count), (batch, time, most) both."""
        steps = torch.arange(characters.shape[1] + self.edges, device=lengths.device)
        if self.edges:  # zeros at both ends: of those before the first character, hashed_ngrams takes care
            characters = F.pad(characters, (0, 1)).masked_fill(steps >= lengths[:, None], 0)
        rows = hashed_ngrams(characters, self.most) % self.buckets
        orders = torch.arange(self.most, device=lengths.device)
        begins, ends = steps[:, None] - orders, steps.expand(len(lengths), -1)[:, :, None]
        is_within = (begins >= 0) & (ends < lengths[:, None, None])
        groups = torch.where(is_within, 0, -1)
        if self.edges:
            at_edge = ~is_within & (begins >= -1) & (ends <= lengths[:, None, None]) & (orders > 0)
            groups = groups.masked_fill(at_edge, 1)
        return rows, groups
