"""Two ways to compute the same, timed in turn, so that a busy machine slows both. Of the rounds' ratios the median."""

import statistics
import time
from collections.abc import Callable

from torch import Tensor

HEADER = f"{'task':44} {'torch':>12} {'ours':>12} {'ratio (lowest to highest)':>26}"


def milliseconds(forward: Callable[[], Tensor]) -> float:
    """Of one forward and backward pass."""
    started = time.perf_counter()
    forward().sum().backward()
    return 1000 * (time.perf_counter() - started)


def compare(name: str, theirs: Callable[[], Tensor], ours: Callable[[], Tensor], rounds: int) -> None:
    """Print a row under `HEADER`: the median milliseconds of each and their ratio."""
    for forward in (theirs, ours):
        for _ in range(3):  # compilation, if there is any, and warm caches
            milliseconds(forward)
    pairs = [(milliseconds(theirs), milliseconds(ours)) for _ in range(rounds)]
    ratios = [ours_ms / theirs_ms for theirs_ms, ours_ms in pairs]
    medians = [statistics.median(times) for times in zip(*pairs, strict=True)]
    spread = f"{statistics.median(ratios):>7.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    print(f"{name:44} {medians[0]:>9.1f} ms {medians[1]:>9.1f} ms {spread}", flush=True)
