"""RNN, LSTM and GRU written from their equations, interchangeable with torch.nn's.

Constructor, parameter names, inputs and outputs are those of torch.nn.{RNN,LSTM,GRU}, so weights can be copied either
way; only `batch_first` is True by default, and the LSTM has no `proj_size`. They are fast because all terms that depend
on the input alone are computed for all steps in one matrix product, and the gates of a step in another one. Nothing is
computed for the padding of a PackedSequence.
"""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.errors import UserError
from lightning_models.modules.checks import check_choice
from lightning_models.networks.recurrent_layers import Recurrent, State

Cell = Literal["rnn", "lstm", "gru"]
Implementation = Literal["torch", "scratch"]


def _sum(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    return None if first is None or second is None else first + second


class RNN(Recurrent):
    """Elman's network: h' = tanh(W_ih x + b_ih + W_hh h + b_hh)."""

    num_gates = 1

    def project(self, inputs: Tensor, weight_ih: Tensor, bias_ih: Tensor | None, bias_hh: Tensor | None) -> Tensor:
        return F.linear(inputs, weight_ih, _sum(bias_ih, bias_hh))

    def step(self, projected: Tensor, state: State, weight_hh: Tensor, bias_hh: Tensor | None) -> State:
        return (torch.addmm(projected, state[0], weight_hh.t()).tanh(),)


class LSTM(Recurrent):
    """Long short-term memory (Hochreiter & Schmidhuber 1997) with a forget gate (Gers et al. 2000).

    Equations (1) to (5) of report 3, its gates stacked in torch.nn's order i, f, g, o:

        i, f, o = sigmoid(W x + b + U h),  g = tanh(W_g x + b_g + U_g h)
        c' = f * c + i * g
        h' = o * tanh(c')

    The report's equation (6), h' = tanh(c' * o), is a misprint: the output gate scales the output of the cell after the
    tanh.
    """

    num_gates = 4
    num_states = 2

    def project(self, inputs: Tensor, weight_ih: Tensor, bias_ih: Tensor | None, bias_hh: Tensor | None) -> Tensor:
        return F.linear(inputs, weight_ih, _sum(bias_ih, bias_hh))

    def step(self, projected: Tensor, state: State, weight_hh: Tensor, bias_hh: Tensor | None) -> State:
        hidden, cell = state
        gates = torch.addmm(projected, hidden, weight_hh.t())  # (batch, 4 * hidden_size)
        input_forget, candidate, output = torch.split(
            gates, [2 * self.hidden_size, self.hidden_size, self.hidden_size], dim=1
        )
        input_gate, forget_gate = input_forget.sigmoid().chunk(2, dim=1)
        cell = torch.addcmul(forget_gate * cell, input_gate, candidate.tanh())
        return output.sigmoid() * cell.tanh(), cell


class GRU(Recurrent):
    """Gated recurrent unit (Cho et al. 2014), in the variant of cuDNN and torch.nn, its gates stacked as r, z, n.

        r, z = sigmoid(W x + b + U h + d)
        n = tanh(W_n x + b_n + r * (U_n h + d_n))
        h' = (1 - z) * n + z * h

    The reset gate scales the product U_n h; in the paper it scales h before the product.
    """

    num_gates = 3

    def project(self, inputs: Tensor, weight_ih: Tensor, bias_ih: Tensor | None, bias_hh: Tensor | None) -> Tensor:
        """Without `bias_hh`, which is added in the step, because the reset gate scales a part of it."""
        return F.linear(inputs, weight_ih, bias_ih)

    def step(self, projected: Tensor, state: State, weight_hh: Tensor, bias_hh: Tensor | None) -> State:
        sizes = [2 * self.hidden_size, self.hidden_size]
        gates_of_input, candidate_of_input = torch.split(projected, sizes, dim=1)
        gates_of_hidden, candidate_of_hidden = torch.split(F.linear(state[0], weight_hh, bias_hh), sizes, dim=1)
        reset, update = (gates_of_input + gates_of_hidden).sigmoid().chunk(2, dim=1)
        candidate = torch.addcmul(candidate_of_input, reset, candidate_of_hidden).tanh()
        return (torch.lerp(candidate, state[0], update),)


SCRATCH: dict[str, type[Recurrent]] = {"rnn": RNN, "lstm": LSTM, "gru": GRU}
TORCH: dict[str, type[nn.RNNBase]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


def recurrent(
    cell: Cell,
    input_size: int,
    hidden_size: int,
    num_layers: int = 1,
    *,
    bidirectional: bool = False,
    dropout: float = 0.0,
    implementation: Implementation = "torch",
    forget_bias: float | None = None,
) -> nn.Module:
    """A recurrent network, batch first, from this module or torch.nn; both have the same weights and results.

    Args:
        cell: "rnn", "lstm" or "gru".
        input_size: Features of a step of the input.
        hidden_size: Units of a layer and direction.
        num_layers: Number of stacked layers.
        bidirectional: Add a second network that reads backwards.
        dropout: Probability with which an output of any layer but the last is zeroed in training.
        implementation: "torch" for torch.nn's cells (fused, cuDNN), "scratch" for this module's.
        forget_bias: Initial bias of the LSTM's forget gates; by default random around 0. With 1 or more, the cell
            remembers from the start (Jozefowicz et al. 2015).

    Raises:
        UserError: For an unknown choice, a size out of range, or a forget bias without a forget gate.
    """
    check_choice("cell", cell, Cell)
    check_choice("implementation", implementation, Implementation)
    if forget_bias is not None and cell != "lstm":
        raise UserError(f"forget_bias is {forget_bias}, but a {cell} has no forget gate: leave it out, or use an lstm")
    # torch.nn warns about dropout with a single layer, where it has no effect
    between_layers = dropout if num_layers > 1 else 0.0
    classes: dict[str, Any] = SCRATCH if implementation == "scratch" else TORCH
    network: nn.Module = classes[cell](
        input_size, hidden_size, num_layers, batch_first=True, dropout=between_layers, bidirectional=bidirectional
    )
    if forget_bias is not None:
        set_forget_bias(network, hidden_size, forget_bias)
    return network


@torch.no_grad()
def set_forget_bias(lstm: nn.Module, hidden_size: int, value: float) -> None:
    """Set the sum of the two biases of each forget gate, which are the second quarter of each vector, to `value`."""
    for name, parameter in lstm.named_parameters():
        if name.startswith("bias_"):
            parameter[hidden_size : 2 * hidden_size] = value if name.startswith("bias_ih") else 0.0
