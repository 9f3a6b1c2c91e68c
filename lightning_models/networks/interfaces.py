"""What the model families may rely on in any network that they are given."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from lightning_models.modules.checks import check_at_least_one, check_choice
from lightning_models.networks.conditioning import ClassOffset, ClassProjection, Conditioning, check_labels, embed
from lightning_models.networks.layers import OUTPUT_RANGES, Output

ImageShape = tuple[int, int, int]  # channels, height, width
State = Tensor | tuple[Tensor, Tensor]  # h or, of an LSTM, (h, c); each (layers, batch, hidden_dim)


class Generator(nn.Module, ABC):
    """Maps latent vectors to images; also a VAE's decoder.

    Subclasses take `latent_dim` and `image_shape` first, because these follow from the model and its data. Those that
    can be conditional also take `num_classes`, which the model sets, and `conditioning`.
    """

    def __init__(
        self,
        latent_dim: int,
        image_shape: ImageShape,
        output: Output,
        num_classes: int = 0,
        conditioning: Conditioning = "embedding",
    ) -> None:
        super().__init__()
        check_at_least_one("latent_dim", [latent_dim])
        check_at_least_one("image_shape", image_shape)
        check_choice("output", output, Output)
        check_choice("conditioning", conditioning, Conditioning)
        self.latent_dim = latent_dim
        self.image_shape = image_shape
        self.output_range = OUTPUT_RANGES[output]  # the data of a GAN must be scaled to it
        self.num_classes = num_classes  # 0: unconditional
        joins = num_classes > 0 and conditioning == "embedding"
        self.class_embedding = nn.Embedding(num_classes, latent_dim) if joins else None
        if self.class_embedding is not None:  # of length 1, far below a latent vector's, or G learns to ignore that
            nn.init.normal_(self.class_embedding.weight, std=latent_dim**-0.5)
        self.input_dim = 2 * latent_dim if joins else latent_dim
        self.classes_of_norms = 0 if joins else num_classes  # of conditional BatchNorm

    @abstractmethod
    def forward(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images (batch, channels, height, width) in `output_range` of `latent` (batch, latent_dim).

        A conditional network is called with `labels`, any other without.
        """

    def joined(self, latent: Tensor, labels: Tensor | None) -> Tensor:
        """The first layer's input (batch, input_dim): `latent`, behind it the class's embedding if there is one."""
        check_labels(self, self.num_classes, labels)
        if self.class_embedding is None or labels is None:
            return latent
        return torch.cat([latent, embed(self.class_embedding, labels).to(latent.dtype)], dim=1)


class Discriminator(nn.Module, ABC):
    """Maps images to logits; with `out_features` = 2 * latent_dim it is a VAE's encoder.

    Subclasses take `image_shape` first, because it follows from the data. Those that can be conditional also take
    `num_classes`, which the model sets.
    """

    layers: nn.Sequential
    class_part: ClassProjection | ClassOffset | None

    def __init__(self, image_shape: ImageShape, out_features: int, num_classes: int = 0) -> None:
        super().__init__()
        check_at_least_one("image_shape", image_shape)
        check_at_least_one("out_features", [out_features])
        self.image_shape = image_shape
        self.out_features = out_features
        self.num_classes = num_classes  # 0: unconditional
        self.class_part = None

    @abstractmethod
    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits (batch, out_features) of images (batch, channels, height, width).

        A conditional network is called with `labels`, any other without.
        """

    def add_class_part(self, num_features: int) -> None:
        """Make the network conditional, if it is to be: `num_features` enter its last layer."""
        if self.num_classes and self.out_features == 1:
            self.class_part = ClassProjection(self.num_classes, num_features)
        elif self.num_classes:
            self.class_part = ClassOffset(self.num_classes, self.out_features)

    def logits(self, images: Tensor, labels: Tensor | None, head: int = 1) -> Tensor:
        """The output of `layers`, of which the last `head` follow the features, and what the class adds to it."""
        check_labels(self, self.num_classes, labels)
        if self.class_part is None or labels is None:
            unconditional: Tensor = self.layers(images)
            return unconditional
        features = images
        for layer in self.layers[:-head]:
            features = layer(features)
        outputs = features
        for layer in self.layers[-head:]:
            outputs = layer(outputs)
        conditional: Tensor = outputs + self.class_part(features, labels)
        return conditional


class Classifier(nn.Module, ABC):
    """Classifies images: features, and a linear layer on top of them.

    Subclasses take `image_shape` and `num_classes` first, because these follow from the data.
    """

    def __init__(self, image_shape: ImageShape, num_classes: int, num_features: int) -> None:
        super().__init__()
        check_at_least_one("image_shape", image_shape)
        check_at_least_one("num_classes", [num_classes])
        self.image_shape, self.num_classes, self.num_features = image_shape, num_classes, num_features
        self.head = nn.Linear(num_features, num_classes)

    @abstractmethod
    def features(self, images: Tensor) -> Tensor:
        """The input of the last layer, (batch, num_features), for images (batch, channels, height, width)."""

    def forward(self, images: Tensor) -> Tensor:
        """Logits (batch, num_classes) of images (batch, channels, height, width)."""
        logits: Tensor = self.head(self.features(images))
        return logits


class SequenceNetwork(nn.Module, ABC):
    """Classifies sequences.

    Subclasses take `vocab_size` and `num_classes` first, because these follow from the data. `vocab_size` is None where
    a step of the input is one number.
    """

    def __init__(self, vocab_size: int | None, num_classes: int) -> None:
        super().__init__()
        if vocab_size is not None:
            check_at_least_one("vocab_size", [vocab_size])
        check_at_least_one("num_classes", [num_classes])
        self.vocab_size, self.num_classes = vocab_size, num_classes

    @abstractmethod
    def forward(self, sequences: Tensor, lengths: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits (batch, num_classes).

        Args:
            sequences: (batch, time), characters int64 or numbers float32; what follows a sequence's end is ignored.
            lengths: (batch,) int64, from 1 to time.
            labels: (batch,) int64 of *training* sequences, else None. Only for networks with statistics of the training
                set, which leave each sequence out of the statistics of its own class.
        """

    def member_logits(self, sequences: Tensor, lengths: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits (members, batch, num_classes) of the members of an ensemble, each of which is trained by its own loss.

        By default a network is its own and only member.
        """
        logits: Tensor = self(sequences, lengths, labels)
        return logits.unsqueeze(0)


class CharNetwork(nn.Module, ABC):
    """Predicts the next character, with a state that is carried from one piece of a text to the next.

    Subclasses take `vocab_size` first, because it follows from the data.
    """

    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        check_at_least_one("vocab_size", [vocab_size])
        self.vocab_size = vocab_size

    @abstractmethod
    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Logits (batch, time, vocab_size) of the characters that follow `tokens` (batch, time), and the last state.

        Without a `state` the network starts with zeros.
        """
