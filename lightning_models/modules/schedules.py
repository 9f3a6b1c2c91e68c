"""Learning rates that change over a training: a factor of the optimizer's own rate as a function of its progress."""

import math
from abc import ABC, abstractmethod
from typing import Any

from pytorch_lightning import Trainer
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from lab.errors import UserError
from lightning_models.modules.checks import check_at_least


class Schedule(ABC):
    """How the learning rate moves between the first batch and the last."""

    @abstractmethod
    def factor(self, progress: float) -> float:
        """What the optimizer's learning rate is multiplied by, at `progress` from 0 (first batch) to 1 (end)."""

    def configure(self, optimizer: Optimizer, trainer: Trainer) -> dict[str, Any]:
        """What `configure_optimizers` returns: the optimizer, and a scheduler that moves after every batch.

        The number of batches is asked for at each move. `trainer.estimated_stepping_batches`, Lightning's own way,
        makes a resumed run forget its place in the epoch (Lightning issue 20550).

        Raises:
            ValueError: at the first move, if neither epochs nor steps end the training.
        """

        def factor(step: int) -> float:  # the first one is asked for before the trainer knows its batches
            if not step:
                return self.factor(0.0)
            total = total_batches(trainer)
            if total is None:
                raise UserError(
                    "a learning rate schedule needs an end of training: set trainer.max_epochs or max_steps"
                )
            return self.factor(min(1.0, step / total))

        scheduler = LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


class Constant(Schedule):
    """The optimizer's own learning rate throughout."""

    def factor(self, progress: float) -> float:
        """Always 1."""
        return 1.0

    def configure(self, optimizer: Optimizer, trainer: Trainer) -> dict[str, Any]:
        """The optimizer alone."""
        return {"optimizer": optimizer}


class Cosine(Schedule):
    """A linear warm-up, then half a cosine down (Loshchilov & Hutter 2017, without restarts)."""

    def __init__(self, warmup: float = 0.0, final: float = 0.0) -> None:
        """Store the shape.

        Args:
            warmup: Share of the training, from 0 to below 1, in which the rate grows linearly from nearly 0.
            final: The last factor, from 0 to 1.
        """
        check_share("schedule.warmup", warmup)
        check_at_least("schedule.final", final, 0)
        self.warmup, self.final = warmup, final

    def factor(self, progress: float) -> float:
        """From 0 up to 1, then down to `final`."""
        if progress < self.warmup:
            return max(progress / self.warmup, 1e-3)
        return cosine(1.0, self.final, (progress - self.warmup) / (1 - self.warmup))


class OneCycle(Schedule):
    """Up and down again along two half cosines; the optimizer's rate is the peak (Smith & Topin 2018)."""

    def __init__(self, warmup: float = 0.3, initial: float = 0.04, final: float = 4e-6) -> None:
        """Store the shape; the defaults are those of torch's OneCycleLR.

        Args:
            warmup: Share of the training, from 0 to below 1, until the peak.
            initial: The first factor.
            final: The last factor.
        """
        check_share("schedule.warmup", warmup)
        check_at_least("schedule.initial", initial, 0)
        check_at_least("schedule.final", final, 0)
        self.warmup, self.initial, self.final = warmup, initial, final

    def factor(self, progress: float) -> float:
        """From `initial` up to 1, then down to `final`."""
        if progress < self.warmup:
            return cosine(self.initial, 1.0, progress / self.warmup)
        return cosine(1.0, self.final, (progress - self.warmup) / (1 - self.warmup))


class Steps(Schedule):
    """Multiplied by `gamma` at each of the given points of the training."""

    def __init__(self, at: tuple[float, ...] = (0.5, 0.75), gamma: float = 0.1) -> None:
        """Store the points.

        Args:
            at: Points of the training, from 0 to 1.
            gamma: What the rate is multiplied by at each of them.
        """
        for point in at:
            check_share("schedule.at", point)
        check_at_least("schedule.gamma", gamma, 0)
        self.at, self.gamma = at, gamma

    def factor(self, progress: float) -> float:
        """A power of gamma."""
        return self.gamma ** sum(progress >= point for point in self.at)


def cosine(start: float, end: float, progress: float) -> float:
    """From `start` to `end` along half a cosine, for `progress` from 0 to 1."""
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


def total_batches(trainer: Trainer) -> int | None:
    """Number of batches of the whole training, or of groups of `accumulate_grad_batches`, as `global_step` counts them.

    None if neither epochs nor steps end it.
    """
    limits = []
    if trainer.max_epochs is not None and trainer.max_epochs >= 0 and math.isfinite(trainer.num_training_batches):
        per_epoch = math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches)
        limits.append(trainer.max_epochs * per_epoch)
    if trainer.max_steps >= 0:
        limits.append(trainer.max_steps)
    return max(1, min(limits)) if limits else None


def check_share(option: str, value: float) -> None:
    """Raise ValueError unless `value` is from 0 to below 1."""
    if not 0 <= value < 1:
        raise UserError(f"{option} is {value}: use a share of the training, from 0 to below 1")
