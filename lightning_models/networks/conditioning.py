"""Parts with which a network looks at the class of an image.

Labels are whole numbers (batch,), or weights of the classes (batch, classes) float, which lie between classes.
"""

from typing import Any, Literal, TypeVar

import torch.nn.functional as F
from torch import Tensor, nn

from lab.errors import UserError
from lightning_models.modules.injection import build

N = TypeVar("N", bound=nn.Module)
Conditioning = Literal["embedding", "batch_norm"]


def embed(embedding: nn.Embedding, labels: Tensor) -> Tensor:
    """The vectors (batch, embedding_dim) of `labels`."""
    weight = embedding.weight
    return labels.to(weight.dtype) @ weight if labels.is_floating_point() else F.embedding(labels, weight)


class ConditionalBatchNorm(nn.Module):
    """BatchNorm with a gain and a shift of each class's own (Dumoulin et al. 2017; Miyato & Koyama 2018).

    Args:
        normalization: a BatchNorm layer without gain and shift.
        num_classes: number of classes.
    """

    def __init__(self, normalization: nn.BatchNorm1d | nn.BatchNorm2d, num_classes: int) -> None:
        super().__init__()
        self.normalization = normalization
        self.gain = nn.Embedding(num_classes, normalization.num_features)
        self.shift = nn.Embedding(num_classes, normalization.num_features)
        nn.init.ones_(self.gain.weight)
        nn.init.zeros_(self.shift.weight)

    def forward(self, maps: Tensor, labels: Tensor) -> Tensor:
        """Maps (batch, channels, ...) of the same shape, normalized over the whole batch."""
        normalized: Tensor = self.normalization(maps)
        shape = (len(maps), -1, *[1] * (maps.dim() - 2))
        return normalized * embed(self.gain, labels).view(shape) + embed(self.shift, labels).view(shape)


class LabelledSequential(nn.Sequential):
    """Layers one after the other, of which those that look at labels are given them."""

    def forward(self, inputs: Tensor, labels: Tensor | None = None) -> Tensor:
        """The output of the last layer; without `labels` it is that of nn.Sequential."""
        for layer in self:
            inputs = layer(inputs, labels) if labels is not None and looks_at_labels(layer) else layer(inputs)
        return inputs


def looks_at_labels(layer: nn.Module) -> bool:
    """Whether one of the layer's parts is a conditional BatchNorm."""
    return isinstance(layer, ConditionalBatchNorm) or getattr(layer, "looks_at_labels", False)


class ClassProjection(nn.Module):
    """What the class adds to a logit: its vector's product with the features (Miyato & Koyama 2018, eq. 5).

    The features are the input of the last layer, all pixels of a map included: where that layer weighs each place by
    itself, as DCGAN's does, so must the class, because sums over a map of small receptive fields know no shapes.
    """

    def __init__(self, num_classes: int, num_features: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(num_classes, num_features)
        nn.init.xavier_uniform_(self.embedding.weight)

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        """(batch, 1) of `features` (batch, ...) of num_features numbers each."""
        return (embed(self.embedding, labels) * features.flatten(1)).sum(dim=1, keepdim=True)


class ClassOffset(nn.Module):
    """What the class adds to an encoder's outputs: as if its one-hot vector stood behind the last layer's input (CVAE).

    With the decoder knowing the class (Sohn et al. 2015), the encoder needs it only to leave it out of its code.
    """

    def __init__(self, num_classes: int, out_features: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(num_classes, out_features)
        nn.init.xavier_uniform_(self.embedding.weight)

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        """(batch, out_features), whatever `features` are."""
        return embed(self.embedding, labels)


def build_network(given: Any, expected: type[N], classes: dict[str, int], *args: Any) -> N:
    """The network that `given` describes (see `injection`), conditional if `classes` has their number.

    Raises:
        UserError: for a class that has no conditional network, or a number of classes that was set by hand.
    """
    try:
        network = build(given, expected, *args, **classes)
    except TypeError as error:
        if classes and "num_classes" in str(error):
            raise UserError(
                f"model.conditional is true, but this {expected.__name__} cannot be conditional: it takes no "
                "num_classes; use another one, or model.conditional false"
            ) from error
        raise
    found, wanted = getattr(network, "num_classes", 0), classes.get("num_classes", 0)
    if found != wanted:
        raise UserError(
            f"num_classes of the {type(network).__name__} is {found}, but {wanted} are asked for: leave it out and set "
            "model.conditional, which sets it"
        )
    return network


def check_labels(network: nn.Module, num_classes: int, labels: Tensor | None) -> None:
    """Raise an error if a conditional network is called without labels, or another one with them."""
    if (labels is None) == (num_classes > 0):
        state = "conditional: call it with labels" if num_classes else "unconditional: call it without labels"
        raise UserError(f"this {type(network).__name__} is {state}")
