"""Evaluation mode for a limited time."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Put `network` into evaluation mode inside; afterwards it is in the mode it was in before."""
    was_training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(was_training)
