"""Character language models: a network that predicts the next character."""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from pytorch_lightning.cli import OptimizerCallable
from torch import Tensor
from torch.optim import Optimizer

from lab.errors import UserError
from lightning_models.metrics.means import WeightedMeans
from lightning_models.modules.batch_counting import should_log
from lightning_models.modules.checks import check_above_zero
from lightning_models.modules.clipping import clip_norm, gradient_scale
from lightning_models.modules.evaluation_mode import evaluating
from lightning_models.modules.injection import build, default
from lightning_models.modules.optimizers import build_optimizer
from lightning_models.modules.plain_checkpoint import PlainCheckpoint
from lightning_models.modules.schedules import Schedule
from lightning_models.modules.text_sampling import check_sampling, draw, quick_single_steps, sampling_distribution
from lightning_models.networks import CharNetwork
from lightning_models.networks.interfaces import State

TextBatch = tuple[Tensor, Tensor, bool]  # inputs and targets, (streams, characters) int64; whether they continue


class CharLanguageModel(PlainCheckpoint):
    """A network that predicts the next character; by default an LSTM, as in char-rnn (Karpathy 2015).

    A batch is (inputs, targets, continues). Where it continues the previous one, the network starts from the state that
    the previous one ended with, but gradients stop there: truncated backpropagation through time. All losses are in
    nats per character.

    Args:
        vocabulary: the characters in the order of their indices; linked from the data.
        network: characters -> logits of the next character, and a state.
        carry_state: carry the state into a batch that continues the previous one; false: every batch starts with zeros.
        optimizer: of all parameters.
        schedule: of the learning rate over the training: Constant, Linear, Cosine, OneCycle or Steps.
        gradient_clip_norm: largest norm of all gradients together; null: no clipping.

    Raises:
        UserError: for an option out of its range.
    """

    monitor = "val/nats_per_char"

    def __init__(
        self,
        vocabulary: list[str],
        network: Callable[[int], CharNetwork] = default("lightning_models.networks.CharRNN"),
        carry_state: bool = True,
        optimizer: OptimizerCallable = default("torch.optim.AdamW", lr=5e-3),
        schedule: Schedule = default("lightning_models.modules.schedules.Cosine"),
        gradient_clip_norm: float | None = 1.0,
    ) -> None:
        super().__init__()
        self.keep_hyperparameters()
        check_above_zero("model.gradient_clip_norm", gradient_clip_norm)
        self.vocabulary, self.carry_state = vocabulary, carry_state
        self.optimizer, self.gradient_clip_norm = optimizer, gradient_clip_norm
        self.schedule = build(schedule, Schedule)
        self.network = build(network, CharNetwork, len(vocabulary))
        self.training_means = WeightedMeans(("nats_per_char",))
        self.evaluation_means = WeightedMeans(("nats_per_char",))
        self.train_state: State | None = None  # of this process's streams
        self.eval_state: State | None = None
        self.restored_state: list[Tensor] | None = None  # from a checkpoint: that of all streams

    def configure_optimizers(self) -> Any:
        return self.schedule.configure(build_optimizer(self.optimizer, self.parameters()), self.trainer)

    # ------------------------------------------------------------------------------------------------------- training

    def on_train_start(self) -> None:
        """Take this process's streams of the state restored from a checkpoint."""
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
        """The state that the previous batch ended with; None if there was none.

        Raises:
            UserError: if it belongs to another number of streams.
        """
        if self.train_state is not None and (found := parts_of(self.train_state)[0].shape[1]) != len(inputs):
            raise UserError(
                f"the checkpoint carries the state of {found} streams per process, but now there are {len(inputs)}: "
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
        """Clip the norm of all gradients together, after backward; log the norm before clipping.

        Raises:
            UserError: if the trainer's own option is set, too.
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
        self.evaluate(batch)

    def test_step(self, batch: TextBatch, batch_idx: int) -> None:
        self.evaluate(batch)

    def evaluate(self, batch: TextBatch) -> None:
        """Add the cross entropy of the scored characters; the state is carried as in training."""
        inputs, targets, continues = batch
        logits, self.eval_state = self.network(inputs, self.eval_state if continues and self.carry_state else None)
        total = F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), reduction="sum")
        count = int((targets >= 0).sum())  # a negative target is context: read, not scored
        self.evaluation_means.update((total / max(1, count),), count)

    def on_validation_epoch_end(self) -> None:
        self.log_means(self.evaluation_means, "val")

    def on_test_epoch_end(self) -> None:
        self.log_means(self.evaluation_means, "test")

    def log_means(self, means: WeightedMeans, prefix: str) -> None:
        """Log the mean loss over all processes in nats, in bits (nats / ln 2) and as perplexity; then reset it."""
        nats = means.compute()["nats_per_char"]
        metrics = {"nats_per_char": nats, "bits_per_char": nats / math.log(2), "perplexity": nats.exp()}
        self.log_dict({f"{prefix}/{name}": value for name, value in metrics.items()}, sync_dist=True)
        means.reset()

    # ----------------------------------------------------------------------------------------------------- checkpoint

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store the state of all streams, in order; each process has its own, and all of them call this."""
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
        """Hold the carried state until the training resumes."""
        super().on_load_checkpoint(checkpoint)
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

        Without a prompt the text starts as if after a line break or, where the vocabulary has none, after its first
        character. Drawn on the CPU; for the options see `sampling_distribution`.

        Raises:
            UserError: for a prompt with unknown characters, or an option out of its range.
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
            UserError: for characters that are not in the vocabulary; the message names them.
        """
        unknown = "".join(dict.fromkeys(character for character in text if character not in self.vocabulary))
        if unknown:
            known = "".join(self.vocabulary)
            raise UserError(f"the prompt holds {unknown!r}, which the model has never seen; it knows {known!r}")
        return torch.tensor([self.vocabulary.index(character) for character in text])


def parts_of(state: State) -> list[Tensor]:
    """The tensors of a state: h, or h and c of an LSTM."""
    return [state] if isinstance(state, Tensor) else list(state)


def as_state(parts: list[Tensor]) -> State:
    """The inverse of `parts_of`."""
    return parts[0] if len(parts) == 1 else (parts[0], parts[1])


def detached(state: State) -> State:
    """`state` cut off from the graph that computed it."""
    return as_state([part.detach() for part in parts_of(state)])
