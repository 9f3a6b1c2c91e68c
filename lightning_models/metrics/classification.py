"""How good a classifier is: over classes alike, and by the length of its input."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

from lightning_models.metrics.catalogue import CATALOGUE


def balanced_accuracy(confusion: Tensor) -> Tensor:
    """The mean of the accuracies within each class that has samples, as scikit-learn defines it; chance is 1 / classes.

    `confusion` is (classes, classes), counts with true classes as rows.
    """
    sizes = confusion.sum(dim=1)
    return (confusion.diagonal()[sizes > 0] / sizes[sizes > 0]).mean()


def macro_f1(confusion: Tensor) -> Tensor:
    """The mean over classes of F1 = 2 hits / (samples + predictions); classes with neither are left out.

    `confusion` is (classes, classes), counts with true classes as rows.
    """
    sizes = confusion.sum(dim=1) + confusion.sum(dim=0)
    return (2 * confusion.diagonal()[sizes > 0] / sizes[sizes > 0]).mean()


class AccuracyByLength(Metric):
    """Accuracy in bins of the input's length, over all batches and processes.

    Args:
        edges: where a bin begins, but for the first, which begins at 0: (5, 10) makes 0 to 4, 5 to 9, 10 and more.
    """

    full_state_update = False
    higher_is_better = CATALOGUE["accuracy"].higher_is_better
    right: Tensor
    samples: Tensor

    def __init__(self, edges: Sequence[int]) -> None:
        super().__init__()
        self.edges = tuple(edges)
        for name in ("right", "samples"):
            self.add_state(name, torch.zeros(len(self.edges) + 1, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, is_right: Tensor, lengths: Tensor) -> None:
        """Count samples, bool and int64, (batch,) each."""
        bins = torch.bucketize(lengths, torch.tensor(self.edges, device=lengths.device), right=True)
        self.samples += bins.bincount(minlength=len(self.samples))
        self.right += bins[is_right].bincount(minlength=len(self.right))

    def compute(self) -> dict[str, Tensor]:
        """The accuracy of each bin that has samples, by its name: "5_to_9", or "10_up" for the last."""
        begins, ends = (0, *self.edges), (*(edge - 1 for edge in self.edges), None)
        names = [f"{begin}_up" if end is None else f"{begin}_to_{end}" for begin, end in zip(begins, ends, strict=True)]
        return {
            name: right / samples
            for name, right, samples in zip(names, self.right, self.samples, strict=True)
            if samples > 0
        }
