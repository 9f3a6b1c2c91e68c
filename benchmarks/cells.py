"""Forward + backward of this project's recurrent cells against torch.nn's, on this machine's CPU."""

import argparse
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from benchmarks.turns import HEADER, compare
from lightning_models.networks.recurrent import recurrent

BATCH, HIDDEN = 128, 128


def compare_cells(name: str, theirs: nn.Module, ours: Any, inputs: Any, rounds: int) -> None:
    compare(name, partial(outputs, theirs, inputs), partial(outputs, ours, inputs), rounds)


def outputs(network: Any, inputs: Any) -> Tensor:
    output = network(inputs)[0]
    values: Tensor = output.data if isinstance(output, PackedSequence) else output
    return values


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cells", description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--compile", action="store_true", help="measure our cells compiled too (minutes)")
    given = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, batch {BATCH}, hidden {HIDDEN}")
    print(HEADER)
    for cell in ("rnn", "lstm", "gru"):
        for features in (1, HIDDEN):
            theirs = recurrent(cell, features, HIDDEN)
            ours = recurrent(cell, features, HIDDEN, implementation="scratch")
            inputs = torch.randn(BATCH, 20, features)
            compare_cells(f"{cell}, 20 steps of {features}", theirs, ours, inputs, given.rounds)
            if given.compile:
                compiled = torch.compile(ours)
                compare_cells(f"{cell}, 20 steps of {features}, compiled", theirs, compiled, inputs, given.rounds)
        theirs = recurrent(cell, 64, HIDDEN, bidirectional=True)
        ours = recurrent(cell, 64, HIDDEN, bidirectional=True, implementation="scratch")
        lengths = torch.randint(10, 81, (BATCH,))
        packed = pack_padded_sequence(torch.randn(BATCH, 80, 64), lengths, batch_first=True, enforce_sorted=False)
        compare_cells(f"{cell}, bidirectional, packed, 10 to 80 steps", theirs, ours, packed, given.rounds // 3)


if __name__ == "__main__":
    main()
