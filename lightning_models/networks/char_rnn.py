"""A recurrent network that predicts the next character."""

from torch import Tensor, nn

from lab.errors import UserError
from lightning_models.modules.checks import check_at_least_one, check_share
from lightning_models.networks.interfaces import CharNetwork, State
from lightning_models.networks.recurrent import Cell, Implementation, recurrent


class CharRNN(CharNetwork):
    """Embedding, recurrent layers, and a linear layer to the logits of the next character."""

    def __init__(
        self,
        vocab_size: int,
        cell: Cell = "lstm",
        num_layers: int = 1,
        hidden_dim: int = 150,
        embedding_dim: int | None = None,
        dropout: float = 0.0,
        tie_weights: bool = False,
        implementation: Implementation = "torch",
        forget_bias: float | None = None,
    ) -> None:
        """Build the layers.

        Args:
            vocab_size: Number of characters.
            cell: "rnn", "lstm" or "gru".
            num_layers: Number of recurrent layers.
            hidden_dim: Units of each layer.
            embedding_dim: Length of a character's vector; by default `hidden_dim`.
            dropout: Probability with which an input or output of a recurrent layer is zeroed in training, from 0 to
                below 1; the recurrent connections themselves have no dropout (Zaremba et al. 2014).
            tie_weights: Let the last layer share the embedding's weights (Press & Wolf 2017).
            implementation: "torch" (fused) or "scratch" (this project's cells, written from their equations).
            forget_bias: Initial bias of an LSTM's forget gates; by default random around 0.

        Raises:
            UserError: If an option is out of range, or weights of different sizes are to be tied.
        """
        super().__init__(vocab_size)
        for option, size in (("num_layers", num_layers), ("hidden_dim", hidden_dim), ("embedding_dim", embedding_dim)):
            check_at_least_one(option, [1 if size is None else size])
        check_share("dropout", dropout)
        embedding_dim = hidden_dim if embedding_dim is None else embedding_dim
        if tie_weights and embedding_dim != hidden_dim:
            raise UserError(
                f"tied weights need an embedding as wide as the hidden state, found {embedding_dim} and {hidden_dim}: "
                "leave embedding_dim out, or set tie_weights to false"
            )
        self.embedding = nn.Embedding(vocab_size, embedding_dim)
        self.dropout = nn.Dropout(dropout)
        self.recurrent = recurrent(
            cell,
            embedding_dim,
            hidden_dim,
            num_layers,
            dropout=dropout,
            implementation=implementation,
            forget_bias=forget_bias,
        )
        self.head = nn.Linear(hidden_dim, vocab_size)
        if tie_weights:
            nn.init.normal_(self.embedding.weight, std=hidden_dim**-0.5)  # so that logits are of order 1
            self.head.weight = self.embedding.weight

    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        hidden, state = self.recurrent(self.dropout(self.embedding(tokens)), state)
        return self.head(self.dropout(hidden)), state
