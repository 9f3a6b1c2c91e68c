"""Naive Bayes over character n-grams, as part of a network."""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MULTIPLIER, MODULUS = 1_000_003, 2_147_483_647  # primes of the polynomial hash of n-grams
MIXER = 0x45D9F3B  # odd


def hashed_ngrams(characters: Tensor, most: int) -> Tensor:
    """Hashes, from 0 to MODULUS - 1, of the 1- to `most`-grams that end at each character, (batch, time, most) int64.

    `characters` is (batch, time) int64, as if preceded by zeros. Equal n-grams have equal hashes, different ones almost
    never, and the remainders of the hashes are practically uniform for every divisor.
    """
    orders = []
    hashed = torch.zeros_like(characters)
    for order in range(1, most + 1):
        earlier = F.pad(characters, (order - 1, 0))[:, : characters.shape[1]]
        hashed = (hashed * MULTIPLIER + earlier + order) % MODULUS
        orders.append(hashed)
    return mixed(torch.stack(orders, dim=2))


def mixed(numbers: Tensor) -> Tensor:
    """A bijection of the numbers below 2**31 that spreads similar ones apart.

    Without it all 2-grams would share a few rows of a table of 50,000, because MULTIPLIER is nearly a multiple of that.
    """
    for _ in range(2):
        numbers = (((numbers >> 16) ^ numbers) * MIXER) & MODULUS
    return (numbers >> 16) ^ numbers


class NaiveBayes(nn.Module):
    """Log-likelihoods of the classes from multinomial naive Bayes over hashed n-grams, with a weight for each order.

    With few lines per class, counts are hard to beat: an n-gram seen once already favours its class, and an unseen one
    favours none (Ng & Jordan 2002). The counts are taken once, from the training lines (`count_all`); the weight of
    each order of n-grams is learned. For that, training lines must look like new ones: `forward` subtracts all n-grams
    of a training line from the counts of its class (leave-one-out), or naive Bayes would seem to be always right.

    Args:
        num_classes: number of classes.
        buckets: rows of the table of counts; n-grams share rows by chance (hashing).
        most: length of the longest n-grams.
        smoothing: constant added to each count (Lidstone).
        edges: also count the n-grams across the beginning or end of a line ("Mc" there is not "mc" within), with
            weights of their own. Only for lines that are read whole: the place where a line is cut is not its end.
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
        # One row for n-grams within a line, one for those at its edges. N-grams overlap, so they are worth less than as
        # many independent ones.
        self.weights = nn.Parameter(torch.full((2 if edges else 1, most), 0.5 / most))

    def count_all(self, batches: Iterable[tuple[Tensor, ...]]) -> None:
        """Reset the counts, then count batches of (characters, lengths, labels)."""
        self.counts.zero_()
        self.totals.zero_()
        for characters, lengths, labels in batches:
            self.count(characters, lengths, labels)

    @torch.no_grad()
    def count(self, characters: Tensor, lengths: Tensor, labels: Tensor) -> None:
        """Add the n-grams of lines (batch, time) of `lengths` (batch,) to the counts of their `labels` (batch,)."""
        rows, groups = self._rows(characters, lengths)
        is_counted = groups >= 0
        classes = labels[:, None, None].expand_as(rows)[is_counted]
        self.counts.index_put_((rows[is_counted], classes), torch.ones((), device=rows.device), accumulate=True)
        self.totals += classes.bincount(minlength=len(self.totals))

    def forward(self, characters: Tensor, lengths: Tensor, labels: Tensor | None = None) -> Tensor:
        """Weighted log-likelihoods (batch, num_classes) of lines, up to a constant for each line.

        Args:
            characters: (batch, time) int64.
            lengths: (batch,) int64.
            labels: (batch,) int64 of lines that were counted; each is left out of the counts of its class.
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
        """How often each n-gram's row was counted by its own line, (batch, time, most); arguments as from `_rows`."""
        lines = torch.arange(len(rows), device=rows.device)[:, None, None]
        _, places = torch.unique(lines * self.buckets + rows, return_inverse=True)  # an index for each row of each line
        times: Tensor = places[groups >= 0].bincount(minlength=places.numel())[places]
        return times

    def _rows(self, characters: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Row of each n-gram and the group of its weight (-1: not counted), (batch, time, most) each."""
        steps = torch.arange(characters.shape[1] + self.edges, device=lengths.device)
        if self.edges:  # zeros at both ends; hashed_ngrams adds those before the first character
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
