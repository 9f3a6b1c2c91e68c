"""Layers, directions and sequences of a recurrent network; its cells are in `recurrent.py`."""

import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from lab.errors import UserError
from lightning_models.modules.checks import check_at_least_one

State = tuple[Tensor, ...]  # (h,) or, of an LSTM, (h, c); each (batch, hidden_size)


class Recurrent(nn.Module, ABC):
    """Layers, directions and steps, which all cells share.

    Sequences are handled in the layout of PackedSequence: the rows of step 0, then those of step 1, ..., each step with
    the sequences that have not ended, longest first. A batch of equally long sequences is the case without gaps.
    """

    num_gates: ClassVar[int]
    num_states: ClassVar[int] = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = True,
        dropout: float = 0.0,
        bidirectional: bool = False,
    ) -> None:
        """Create the weights, uniform in +-1 / sqrt(hidden_size).

        Args:
            input_size: Features of a step of the input.
            hidden_size: Units of a layer and direction.
            num_layers: Number of stacked layers.
            bias: Add a bias to both matrix products of a gate, as in cuDNN.
            batch_first: Take and return (batch, time, features) instead of (time, batch, features).
            dropout: Probability with which an output of any layer but the last is zeroed in training.
            bidirectional: Add a second network of the same size that reads backwards; outputs are concatenated.

        Raises:
            UserError: If a size is below 1 or `dropout` outside [0, 1].
        """
        super().__init__()
        check_at_least_one("input_size", [input_size])
        check_at_least_one("hidden_size", [hidden_size])
        check_at_least_one("num_layers", [num_layers])
        if not 0 <= dropout <= 1:
            raise UserError(f"dropout is {dropout}: use a probability from 0 to 1")
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout, self.bidirectional = bias, batch_first, dropout, bidirectional
        rows = self.num_gates * hidden_size
        for layer in range(num_layers):
            features = input_size if layer == 0 else hidden_size * self.num_directions
            for direction in range(self.num_directions):
                shapes = [(rows, features), (rows, hidden_size)] + [(rows,)] * (2 if bias else 0)
                for name, shape in zip(self.parameter_names(layer, direction), shapes, strict=True):
                    self.register_parameter(name, nn.Parameter(torch.empty(shape)))
        self.reset_parameters()

    @property
    def num_directions(self) -> int:
        """2 if bidirectional, else 1."""
        return 2 if self.bidirectional else 1

    def parameter_names(self, layer: int, direction: int) -> list[str]:
        """torch.nn's names: `weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0`, `bias_hh_l0`, `weight_ih_l0_reverse`, ..."""
        kinds = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"] if self.bias else ["weight_ih", "weight_hh"]
        return [f"{kind}_l{layer}{'_reverse' if direction else ''}" for kind in kinds]

    def reset_parameters(self) -> None:
        """Initialize all weights."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def extra_repr(self) -> str:
        return (
            f"{self.input_size}, {self.hidden_size}, num_layers={self.num_layers}, bidirectional={self.bidirectional}"
        )

    def flatten_parameters(self) -> None:
        """Does nothing; torch.nn's networks have this method for cuDNN."""

    # ------------------------------------------------------------------------------------------------- the equations

    @abstractmethod
    def project(self, inputs: Tensor, weight_ih: Tensor, bias_ih: Tensor | None, bias_hh: Tensor | None) -> Tensor:
        """The terms that depend on the inputs (rows, features) alone, of all steps: (rows, num_gates * hidden_size)."""

    @abstractmethod
    def step(self, projected: Tensor, state: State, weight_hh: Tensor, bias_hh: Tensor | None) -> State:
        """The next state, from the projected inputs (batch, num_gates * hidden_size) and the previous state."""

    # ------------------------------------------------------------------------------------------- layers and sequences

    def forward(self, input: Tensor | PackedSequence, hx: Any = None) -> tuple[Any, Any]:
        """Run over sequences.

        Args:
            input: (batch, time, input_size), or (time, batch, input_size) unless `batch_first`, or (time, input_size)
                for one sequence, or a PackedSequence of several lengths.
            hx: Initial h (num_layers * num_directions, batch, hidden_size), of an LSTM the pair (h, c); by default
                zeros. Without the batch dimension for a single sequence.

        Returns:
            The last layer's h at all steps, like `input` with num_directions * hidden_size features; and the last
            state of every layer and direction, like `hx`. The last step of the backward direction is the first of the
            sequence.

        Raises:
            ValueError: If a shape does not fit.
        """
        if isinstance(input, PackedSequence):
            data, batch_sizes = input.data, input.batch_sizes.tolist()
            state = self._reordered(self._initial(hx, data, batch_sizes[0]), input.sorted_indices)
            data, state = self._run_layers(data, batch_sizes, state)
            output = PackedSequence(data, input.batch_sizes, input.sorted_indices, input.unsorted_indices)
            return output, self._as_hx(self._reordered(state, input.unsorted_indices))
        if input.dim() not in (2, 3) or input.shape[-1] != self.input_size:
            raise ValueError(
                f"the input is {tuple(input.shape)}: expected 3 dimensions (2 for one sequence), the last of "
                f"{self.input_size} features"
            )
        is_single = input.dim() == 2
        if is_single:
            input, hx = input.unsqueeze(1), self._map(hx, lambda tensor: tensor.unsqueeze(1))
        elif self.batch_first:
            input = input.transpose(0, 1)
        time, batch = input.shape[:2]
        data, state = self._run_layers(
            input.reshape(time * batch, self.input_size), [batch] * time, self._initial(hx, input, batch)
        )
        steps = data.view(time, batch, -1)
        if is_single:
            return steps.squeeze(1), self._map(self._as_hx(state), lambda tensor: tensor.squeeze(1))
        return steps.transpose(0, 1) if self.batch_first else steps, self._as_hx(state)

    def _run_layers(self, data: Tensor, batch_sizes: list[int], initial: State) -> tuple[Tensor, State]:
        """The last layer's h, (rows, features), and the last states, (layers * directions, batch, hidden_size) each."""
        last: list[State] = []
        for layer in range(self.num_layers):
            if layer > 0:
                data = F.dropout(data, self.dropout, self.training)
            outputs = []
            for direction in range(self.num_directions):
                names = self.parameter_names(layer, direction)
                weights = [getattr(self, name) for name in names] + [None] * (4 - len(names))
                own = tuple(state[len(last)] for state in initial)
                output, state = self._run_steps(data, batch_sizes, own, bool(direction), *weights)
                outputs.append(output)
                last.append(state)
            data = torch.cat(outputs, dim=1) if self.bidirectional else outputs[0]
        return data, tuple(torch.stack(states) for states in zip(*last, strict=True))

    def _run_steps(
        self,
        data: Tensor,
        batch_sizes: list[int],
        initial: State,
        backwards: bool,
        weight_ih: Tensor,
        weight_hh: Tensor,
        bias_ih: Tensor | None,
        bias_hh: Tensor | None,
    ) -> tuple[Tensor, State]:
        """One layer in one direction: h at all steps, in the order of `data`, and the last state."""
        projected = torch.split(self.project(data, weight_ih, bias_ih, bias_hh), batch_sizes)
        state = tuple(part.to(projected[0].dtype) for part in initial)
        outputs = []
        if backwards:  # the longest sequences start; the others join with their initial state
            waiting, state = state, tuple(part[: batch_sizes[-1]] for part in state)
            for steps in reversed(projected):
                running = len(state[0])
                if len(steps) > running:
                    pairs = zip(state, waiting, strict=True)
                    state = tuple(torch.cat([part, rest[running : len(steps)]]) for part, rest in pairs)
                state = self.step(steps, state, weight_hh, bias_hh)
                outputs.append(state[0])
            return torch.cat(outputs[::-1]), state
        finished: list[State] = []  # the shortest sequences end first
        for steps in projected:
            if len(steps) < len(state[0]):
                finished.append(tuple(part[len(steps) :] for part in state))
                state = tuple(part[: len(steps)] for part in state)
            state = self.step(steps, state, weight_hh, bias_hh)
            outputs.append(state[0])
        if finished:
            state = tuple(torch.cat(parts) for parts in zip(state, *reversed(finished), strict=True))
        return torch.cat(outputs), state

    # --------------------------------------------------------------------------------------------------------- states

    def _initial(self, hx: Any, like: Tensor, batch: int) -> State:
        """`hx` as a checked tuple; zeros if it is None."""
        shape = (self.num_layers * self.num_directions, batch, self.hidden_size)
        if hx is None:
            return (like.new_zeros(shape),) * self.num_states
        state = (hx,) if isinstance(hx, Tensor) else tuple(hx)
        if [tuple(part.shape) for part in state] != [shape] * self.num_states:
            found = [tuple(part.shape) for part in state]
            raise ValueError(f"the initial state is of {found}: expected {self.num_states} of {shape}")
        return state

    def _as_hx(self, state: State) -> Any:
        """The state in the form that torch.nn returns: a pair for an LSTM, else one tensor."""
        return state if self.num_states > 1 else state[0]

    @staticmethod
    def _reordered(state: State, order: Tensor | None) -> State:
        return state if order is None else tuple(part.index_select(1, order) for part in state)

    @staticmethod
    def _map(hx: Any, change: Any) -> Any:
        """`hx` with `change` applied to each tensor."""
        if hx is None or isinstance(hx, Tensor):
            return hx if hx is None else change(hx)
        return tuple(change(part) for part in hx)
