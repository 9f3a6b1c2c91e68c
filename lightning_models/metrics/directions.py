"""Which way a metric is better, judged by its name."""

from typing import Literal

Direction = Literal["minimize", "maximize"]

LOWER_IS_BETTER = ("fid", "kid", "loss", "entropy", "nll", "reconstruction", "perplexity", "nats", "bits", "error")
HIGHER_IS_BETTER = ("accuracy", "f1", "precision", "recall", "density", "coverage", "modes", "elbo")


def direction_of(metric: str) -> Direction | None:
    """What is better; None for what is not a matter of better and worse, such as a GAN's losses."""
    words = metric.rpartition("/")[2].split("_")
    if words[0] in ("d", "g"):
        return None
    if any(word in HIGHER_IS_BETTER for word in words):
        return "maximize"
    return "minimize" if any(word in LOWER_IS_BETTER for word in words) else None
