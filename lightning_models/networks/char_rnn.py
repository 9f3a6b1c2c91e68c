"""A recurrent network over characters."""

from torch import Tensor, nn

from lab.errors import UserError
from lightning_models.networks.recurrent import Cell, Implementation, recurrent

State = Tensor | tuple[Tensor, Tensor]  # h or, of an LSTM, (h, c); each (layers, batch, hidden_dim)


class CharRNN(nn.Module):
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
            num_layers: Recurrent layers.
            hidden_dim: Units of each.
            embedding_dim: Numbers that a character becomes; by default `hidden_dim`.
            dropout: Probability with which an input or output of a recurrent layer is zeroed in training; the recurrent
                connections themselves have none (Zaremba et al. 2014).
            tie_weights: Let the last layer share the embedding's weights (Press & Wolf 2017).
            implementation: "torch" or "scratch", see `recurrent`.
            forget_bias: Initial bias of an LSTM's forget gates.

        Raises:
            ValueError: if weights are to be tied that have different sizes.
        """
        super().__init__()
        embedding_dim = embedding_dim or hidden_dim
        if tie_weights and embedding_dim != hidden_dim:
            raise UserError(
                f"tied weights need an embedding as wide as the hidden state, found {embedding_dim} and {hidden_dim}: "
                "leave model.embedding_dim out, or set model.tie_weights to false"
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
            nn.init.normal_(self.embedding.weight, std=hidden_dim**-0.5)  # logits of order 1
            self.head.weight = self.embedding.weight

    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Logits (batch, time, vocab_size) of the characters that follow `tokens` (batch, time), and the last state.

        Without a `state` the network starts with zeros.
        """
        hidden, state = self.recurrent(self.dropout(self.embedding(tokens)), state)
        return self.head(self.dropout(hidden)), state
