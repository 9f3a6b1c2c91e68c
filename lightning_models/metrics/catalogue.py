"""The metrics of this project: what each means, and which direction is better. The only such list; imports no PyTorch.

The classes of this folder take their `higher_is_better` from here, so do the choice of the best checkpoint, studies and
the report page.
"""

from dataclasses import dataclass
from typing import Literal

Direction = Literal["minimize", "maximize"]
DIRECTIONS: dict[bool, Direction] = {True: "maximize", False: "minimize"}


@dataclass(frozen=True)
class Measure:
    """A metric.

    Args:
        meaning: what it measures, in a few words.
        goal: where it should be: "low", "high", "near 1" ...
        higher_is_better: None where neither direction is better.
    """

    meaning: str
    goal: str
    higher_is_better: bool | None


MEASURES = {  # of generated images, in the order of their table
    "fid": Measure("Frechet distance of features", "low", False),
    "kid": Measure("kernel distance, unbiased", "low", False),
    "precision": Measure("share of the samples that lie among real images", "high", True),
    "recall": Measure("share of the real images that lie among samples", "high", True),
    "density": Measure("real neighbourhoods a sample lies in", "near 1", True),
    "coverage": Measure("share of the real images with a sample near by", "high", True),
    "diversity": Measure("distance between samples, relative to the data's", "near 1", None),
    "memorization": Measure("distance to training images, relative to test images'", "near 1", None),
    "modes": Measure("classes that are reached", "all", True),
    "class_kl": Measure("KL of the classes to the data's, nats", "low", False),
    "classifier_score": Measure("confidence and spread of the predicted classes", "high", True),
    "intra_fid": Measure("mean Frechet distance within the classes asked for", "low", False),
    "class_agreement": Measure("share of the samples of the class asked for", "high", True),
}
BY_CLASSIFIER = ("modes", "class_kl", "classifier_score", "class_agreement")  # other networks know no classes
CATALOGUE = {
    **MEASURES,
    "accuracy": Measure("share of the inputs whose most probable class is theirs", "high", True),
    "f1": Measure("harmonic mean of precision and recall of a class", "high", True),
    "cross_entropy": Measure("minus the log probability of the true class, nats", "low", False),
    "loss": Measure("what the optimizer minimises", "low", False),
    "elbo": Measure("evidence lower bound, nats an image", "high", True),
    "importance_weighted_bound": Measure("bound of log p(x) by several latent vectors, nats an image", "high", True),
    "reconstruction": Measure("minus the log-likelihood of the image, nats", "low", False),
    "kl": Measure("KL of the posterior to the prior, nats", "neither", None),
    "active_units": Measure("latent variables that vary with the image", "neither", None),
    "nats_per_char": Measure("minus the log probability of a character, nats", "low", False),
    "bits_per_char": Measure("the same in bits", "low", False),
    "perplexity": Measure("exp of the nats a character", "low", False),
    # often logged by models of other projects
    "nll": Measure("minus a log-likelihood", "low", False),
    "error": Measure("share of mistakes, or a distance", "low", False),
}
PLAYERS = ("d_", "g_")  # losses and accuracies of a GAN's two players: what one gains, the other loses


def direction_of(metric: str) -> Direction | None:
    """The direction in which a metric is better, by its name with or without the split: `val/fid`, `train/loss`.

    A name that contains one of the catalogue's as whole words stands for it: `balanced_accuracy`, `fid_mnist`,
    `accuracy_7`; the longest one counts. None for what has no better direction, such as a GAN's losses, or is unknown.
    """
    name = metric.rpartition("/")[2]
    if name.startswith(PLAYERS):
        return None
    contained = [known for known in CATALOGUE if f"_{known}_" in f"_{name}_"]
    if not contained:
        return None
    higher_is_better = CATALOGUE[max(contained, key=len)].higher_is_better
    return None if higher_is_better is None else DIRECTIONS[higher_is_better]
