"""Forward + backward of UpsampleConv2d against torch's Upsample and Conv2d on this machine's CPU: report 5's stages."""

import argparse
from functools import partial

import torch
from torch import nn

from benchmarks.turns import HEADER, compare
from lightning_models.networks.upsampling import UpsampleConv2d

BATCH = 128
STAGES = ((64, 32, 7), (32, 16, 14))  # channels before and after, size of the map before


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.upsampling", description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    given = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, batch {BATCH}")
    print(HEADER)
    for kernel_size in (3, 5, 7):
        for inputs, outputs, size in STAGES:
            ours = UpsampleConv2d(inputs, outputs, kernel_size)
            theirs = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(inputs, outputs, kernel_size, padding="same"))
            maps = torch.rand(BATCH, inputs, size, size, requires_grad=True)
            name = f"{inputs} x {size} x {size} to {outputs} channels, kernel {kernel_size}"
            compare(name, partial(theirs, maps), partial(ours, maps), given.rounds)


if __name__ == "__main__":
    main()
