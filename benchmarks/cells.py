"""Forward + backward of this project's recurrent cells against torch.nn's, on this machine's CPU.

Both sides take turns, so that a busy machine slows both; the ratio is the median over the rounds.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from lightning_models.networks.recurrent import recurrent

BATCH, HIDDEN = 128, 128


def milliseconds(network: Callable[[Any], Any], inputs: Any) -> float:
    started = time.perf_counter()
    output, _ = network(inputs)
    (output.data if isinstance(output, PackedSequence) else output).sum().backward()
    return 1000 * (time.perf_counter() - started)


def compare(name: str, theirs: nn.Module, ours: Any, inputs: Any, rounds: int) -> None:
    for network in (theirs, ours):
        for _ in range(3):  # compilation, if there is any, and warm caches
            milliseconds(network, inputs)
    pairs = [(milliseconds(theirs, inputs), milliseconds(ours, inputs)) for _ in range(rounds)]
    ratios = [ours_ms / theirs_ms for theirs_ms, ours_ms in pairs]
    medians = [statistics.median(times) for times in zip(*pairs, strict=True)]
    spread = f"{statistics.median(ratios):>7.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    print(f"{name:44} {medians[0]:>9.1f} ms {medians[1]:>9.1f} ms {spread}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cells", description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--compile", action="store_true", help="measure our cells compiled too (minutes)")
    given = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, batch {BATCH}, hidden {HIDDEN}")
    print(f"{'task':44} {'torch':>12} {'ours':>12} {'ratio (lowest to highest)':>26}")
    for cell in ("rnn", "lstm", "gru"):
        for features in (1, HIDDEN):
            theirs = recurrent(cell, features, HIDDEN)
            ours = recurrent(cell, features, HIDDEN, implementation="scratch")
            inputs = torch.randn(BATCH, 20, features)
            compare(f"{cell}, 20 steps of {features}", theirs, ours, inputs, given.rounds)
            if given.compile:
                compiled = torch.compile(ours)
                compare(f"{cell}, 20 steps of {features}, compiled", theirs, compiled, inputs, given.rounds)
        theirs = recurrent(cell, 64, HIDDEN, bidirectional=True)
        ours = recurrent(cell, 64, HIDDEN, bidirectional=True, implementation="scratch")
        lengths = torch.randint(10, 81, (BATCH,))
        packed = pack_padded_sequence(torch.randn(BATCH, 80, 64), lengths, batch_first=True, enforce_sorted=False)
        compare(f"{cell}, bidirectional, packed, 10 to 80 steps", theirs, ours, packed, given.rounds // 3)


if __name__ == "__main__":
    main()
