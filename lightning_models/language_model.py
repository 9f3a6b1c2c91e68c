"""Character language models: a recurrent network that says what comes next."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from pytorch_lightning.cli import OptimizerCallable
from torch import Tensor
from torch.optim import Optimizer

from lab.errors import UserError
from lightning_models.metrics.means import WeightedMeans
from lightning_models.modules.batch_counting import should_log
from lightning_models.modules.checks import check_at_least_one
from lightning_models.modules.clipping import clip_norm, gradient_scale
from lightning_models.modules.evaluation_mode import evaluating
from lightning_models.modules.injection import build, default
from lightning_models.modules.optimizers import build_optimizer
from lightning_models.modules.plain_checkpoint import PlainCheckpoint
from lightning_models.modules.schedules import Schedule
from lightning_models.modules.text_sampling import check_sampling, draw, quick_single_steps, sampling_distribution
from lightning_models.networks.char_rnn import CharRNN, State
from lightning_models.networks.recurrent import Cell, Implementation

TextBatch = tuple[Tensor, Tensor, bool]  # inputs and targets, (sequences, characters) int64, and whether they continue


class CharLanguageModel(PlainCheckpoint):
    """An RNN, LSTM or GRU that predicts the next character (Karpathy 2015, "The unreasonable effectiveness of RNNs").

    A batch is (inputs, targets, continues). Where it continues the previous one, the state goes on from there while
    gradients end at its beginning: truncated backpropagation through time. All losses are in nats a character.

    Args:
        vocabulary: the characters, in the order of their indices; linked from the data.
        cell: "rnn", "lstm" or "gru".
        num_layers: recurrent layers.
        hidden_dim: units of each layer.
        embedding_dim: numbers that a character becomes; by default `hidden_dim`.
        dropout: probability with which an input or output of a recurrent layer is zeroed in training.
        tie_weights: let the last layer share the embedding's weights.
        implementation: of the cells: "torch" (fused) or "scratch" (this project's own, from their equations).
        forget_bias: initial bias of an LSTM's forget gates; by default random around 0.
        carry_state: keep the state where a batch continues the previous one; false: every batch starts with zeros.
        optimizer: of all parameters.
        schedule: of the learning rate: Constant, Cosine or OneCycle.
        gradient_clip_norm: largest norm of all gradients together; none: no clipping.

    Raises:
        ValueError: for an option out of its range.
    """

    monitor = ("val/nats_per_char", "min")

    def __init__(
        self,
        vocabulary: list[str],
        cell: Cell = "lstm",
        num_layers: int = 1,
        hidden_dim: int = 150,
        embedding_dim: int | None = None,
        dropout: float = 0.0,
        tie_weights: bool = False,
        implementation: Implementation = "torch",
        forget_bias: float | None = None,
        carry_state: bool = True,
        optimizer: OptimizerCallable = default("torch.optim.AdamW", lr=5e-3),
        schedule: Schedule = default("lightning_models.modules.schedules.Cosine"),
        gradient_clip_norm: float | None = 1.0,
    ) -> None:
        super().__init__()
        self.keep_hyperparameters()
        for option, size in (("num_layers", num_layers), ("hidden_dim", hidden_dim), ("embedding_dim", embedding_dim)):
            check_at_least_one(f"model.{option}", [1 if size is None else size])
        if not 0 <= dropout < 1:
            raise UserError(f"model.dropout is {dropout}: use a probability from 0 to below 1")
        if gradient_clip_norm is not None and gradient_clip_norm <= 0:
            raise UserError(f"model.gradient_clip_norm is {gradient_clip_norm}: expected a positive number")
        self.vocabulary, self.carry_state = vocabulary, carry_state
        self.optimizer, self.gradient_clip_norm = optimizer, gradient_clip_norm
        self.schedule = build(schedule, Schedule)
        self.network = CharRNN(
            len(vocabulary),
            cell,
            num_layers,
            hidden_dim,
            embedding_dim,
            dropout,
            tie_weights,
            implementation,
            forget_bias,
        )
        self.training_means = WeightedMeans(("nats_per_char",))
        self.evaluation_means = WeightedMeans(("nats_per_char",))
        self.train_state: State | None = None  # of this process's streams
        self.eval_state: State | None = None
        self.restored_state: list[Tensor] | None = None  # from a checkpoint: that of all streams

    def configure_optimizers(self) -> Any:
        """One optimizer for all parameters, its learning rate on the schedule."""
        return self.schedule.configure(build_optimizer(self.optimizer, self.parameters()), self.trainer)

    # ------------------------------------------------------------------------------------------------------- training

    def on_train_start(self) -> None:
        """Take this process's streams of a state that a checkpoint kept."""
        if self.restored_state is not None:
            own = [part[:, self.global_rank :: self.trainer.world_size] for part in self.restored_state]
            self.train_state = as_state([part.contiguous().to(self.device) for part in own])
            self.restored_state = None

    def training_step(self, batch: TextBatch, batch_idx: int) -> Tensor:
        """The cross-entropy of the next characters."""
        inputs, targets, continues = batch
        logits, state = self.network(inputs, self.carried_into(inputs) if continues and self.carry_state else None)
        self.train_state = detached(state)
        loss = F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())

        self.training_means.update((loss,), targets.numel())
        if should_log(self.trainer):
            rate = self.trainer.optimizers[0].param_groups[0]["lr"]
            self.log_dict({"train/batch_loss": loss.detach(), "train/learning_rate": rate})
        return loss

    def carried_into(self, inputs: Tensor) -> State | None:
        """The state that the previous batch ended with; none if there was no batch.

        Raises:
            ValueError: if it belongs to another number of streams.
        """
        if self.train_state is not None and (found := parts_of(self.train_state)[0].shape[1]) != len(inputs):
            raise UserError(
                f"the checkpoint carries the state of {found} streams a process, but now there are {len(inputs)}: "
                "resume with the same batch_size and number of processes"
            )
        return self.train_state

    def on_train_epoch_end(self) -> None:
        """Log the means over the epoch, measured while the weights moved."""
        self.log_means(self.training_means, "train")

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the norm of all gradients together, after backward; log it as it was before.

        Raises:
            ValueError: if the trainer's own option is set, too.
        """
        if gradient_clip_val is not None:
            raise UserError(
                f"trainer.gradient_clip_val is {gradient_clip_val}: leave it out and set --model.gradient_clip_norm"
            )
        if self.gradient_clip_norm is not None or should_log(self.trainer):
            norm = clip_norm(self.parameters(), self.gradient_clip_norm, gradient_scale(self, optimizer))
            if should_log(self.trainer):
                self.log("train/gradient_norm", norm)

    # ----------------------------------------------------------------------------------------------------- evaluation

    def validation_step(self, batch: TextBatch, batch_idx: int) -> None:
        """Add the nats of a piece of the held-out text."""
        self.evaluate(batch)

    def test_step(self, batch: TextBatch, batch_idx: int) -> None:
        """Add the nats of a piece of the test text."""
        self.evaluate(batch)

    def evaluate(self, batch: TextBatch) -> None:
        """Add the nats of the characters that count; the state is carried as in training."""
        inputs, targets, continues = batch
        logits, self.eval_state = self.network(inputs, self.eval_state if continues and self.carry_state else None)
        total = F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), reduction="sum")
        count = int((targets >= 0).sum())  # others are read, not scored
        self.evaluation_means.update((total / max(1, count),), count)

    def on_validation_epoch_end(self) -> None:
        """Log the means over all of the held-out text."""
        self.log_means(self.evaluation_means, "val")

    def on_test_epoch_end(self) -> None:
        """Log the means over all of the test text."""
        self.log_means(self.evaluation_means, "test")

    def log_means(self, means: WeightedMeans, prefix: str) -> None:
        """The mean loss over all processes in nats, in bits (nats / ln 2) and as perplexity; then start afresh."""
        nats = means.compute()["nats_per_char"]
        metrics = {"nats_per_char": nats, "bits_per_char": nats / math.log(2), "perplexity": nats.exp()}
        self.log_dict({f"{prefix}/{name}": value for name, value in metrics.items()}, sync_dist=True)
        means.reset()

    # ----------------------------------------------------------------------------------------------------- checkpoint

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the state of all streams, in their order: each process has its own, and all of them come here."""
        super().on_save_checkpoint(checkpoint)
        if self.train_state is None:
            return
        parts = parts_of(self.train_state)
        if self.trainer.world_size > 1:  # process r has the streams r, r + world_size, ...
            # not every backend gathers bfloat16; (processes, layers, streams, hidden_dim)
            gathered = [self.trainer.strategy.all_gather(part.float()).to(part.dtype) for part in parts]
            parts = [part.permute(1, 2, 0, 3).flatten(1, 2) for part in gathered]
        checkpoint["carried_state"] = [part.cpu() for part in parts]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the carried state until the training goes on."""
        self.restored_state = checkpoint.get("carried_state")

    # ----------------------------------------------------------------------------------------------------- generation

    @torch.no_grad()
    def generate(
        self,
        length: int,
        prompt: str = "",
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int = 0,
    ) -> str:
        """`prompt` and `length` characters that continue it; the same ones for the same seed.

        Without a prompt the text starts as after an empty line, where the vocabulary has one. Drawn on the CPU, see
        `sampling_distribution`.

        Raises:
            ValueError: for a prompt with unknown characters, or an option out of its range.
        """
        check_sampling(temperature, top_k, top_p)
        indices = self.indices(prompt or ("\n" if "\n" in self.vocabulary else self.vocabulary[0]))
        generator = torch.Generator().manual_seed(seed)
        drawn = []
        with evaluating(self.network), quick_single_steps():
            logits, state = self.network(indices.unsqueeze(0).to(self.device))
            for _ in range(length):
                probabilities = sampling_distribution(logits[0, -1].cpu(), temperature, top_k, top_p)
                index = draw(probabilities, generator)
                drawn.append(self.vocabulary[int(index)])
                logits, state = self.network(index.unsqueeze(0).to(self.device), state)
        return prompt + "".join(drawn)

    def indices(self, text: str) -> Tensor:
        """The indices of the characters of `text`, (characters,) int64.

        Raises:
            ValueError: for characters that the vocabulary lacks; it names them.
        """
        unknown = "".join(dict.fromkeys(character for character in text if character not in self.vocabulary))
        if unknown:
            known = "".join(self.vocabulary)
            raise UserError(f"the prompt holds {unknown!r}, which the model has never seen; it knows {known!r}")
        return torch.tensor([self.vocabulary.index(character) for character in text])


def parts_of(state: State) -> list[Tensor]:
    """h, or h and c."""
    return [state] if isinstance(state, Tensor) else list(state)


def as_state(parts: list[Tensor]) -> State:
    """What `parts_of` took apart."""
    return parts[0] if len(parts) == 1 else (parts[0], parts[1])


def detached(state: State) -> State:
    """`state` without its history."""
    return as_state([part.detach() for part in parts_of(state)])
