"""The distribution that the next character is sampled from."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from lab.errors import UserError


def check_sampling(temperature: float, top_k: int | None, top_p: float | None) -> None:
    """Raise UserError for an option out of its range."""
    if not 0 < temperature < float("inf"):
        raise UserError(f"the temperature is {temperature}: expected a number above 0, such as 0.8")
    if top_k is not None and top_k < 1:
        raise UserError(f"top-k is {top_k}: expected a whole number from 1 up (1: always the most probable character)")
    if top_p is not None and not 0 < top_p <= 1:
        raise UserError(f"top-p is {top_p}: expected a probability above 0 and up to 1 (1: all characters)")


def sampling_distribution(
    logits: Tensor, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> Tensor:
    """Probabilities (..., characters) from logits of the same shape.

    Args:
        logits: Of the next character.
        temperature: Divisor of the logits: below 1, probable characters become more probable.
        top_k: Sample from this number of most probable characters only.
        top_p: Sample from the smallest set of most probable characters only whose probabilities, after the temperature,
            reach this sum (nucleus sampling, Holtzman et al. 2020); at least one character.

    Raises:
        UserError: For an option out of its range.
    """
    check_sampling(temperature, top_k, top_p)
    logits = logits.float() / temperature
    if top_k is not None and top_k < logits.shape[-1]:
        # by rank, not by value, so that ties leave no more than k characters
        dropped = logits.argsort(dim=-1, descending=True, stable=True)[..., top_k:]
        logits = logits.scatter(-1, dropped, float("-inf"))
    probabilities = logits.softmax(dim=-1)
    if top_p is not None and top_p < 1:
        ordered, order = probabilities.sort(dim=-1, descending=True, stable=True)
        is_enough_before = ordered.cumsum(dim=-1) - ordered >= top_p
        probabilities = probabilities.scatter(-1, order, ordered.masked_fill(is_enough_before, 0.0))
        probabilities = probabilities / probabilities.sum(dim=-1, keepdim=True)
    return probabilities


def draw(probabilities: Tensor, generator: torch.Generator) -> Tensor:
    """Draw an index (1,) from `probabilities` (characters,)."""
    return torch.multinomial(probabilities, 1, generator=generator)


@contextmanager
def quick_single_steps() -> Iterator[None]:
    """Turn oneDNN off inside, because it repacks the weights of an LSTM at every call.

    With one character per call, this makes sampling on the CPU 2.5 times as slow for one layer of 150 units and 4 times
    for two of 384.
    """
    backend: Any = torch.backends.mkldnn
    was_enabled = backend.enabled
    backend.enabled = False
    try:
        yield
    finally:
        backend.enabled = was_enabled
