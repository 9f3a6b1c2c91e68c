"""Learning rate schedules: a factor of the optimizer's own learning rate as a function of training progress."""

import math
from abc import ABC, abstractmethod
from typing import Any

from pytorch_lightning import Trainer
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from lab.errors import UserError
from lightning_models.modules.checks import check_at_least, check_share


class Schedule(ABC):
    """The learning rate from the first batch to the last."""

    @abstractmethod
    def factor(self, progress: float) -> float:
        """The factor of the optimizer's learning rate at `progress`, from 0 (first batch) to 1 (end of training)."""

    def configure(self, optimizer: Optimizer, trainer: Trainer) -> dict[str, Any]:
        """The return value of `configure_optimizers`: the optimizer, and a scheduler that steps after every batch.

        The length of the training is looked up at each step. With `trainer.estimated_stepping_batches`, Lightning's own
        way, a resumed run forgets its place in the epoch (Lightning issue 20550).

        Raises:
            UserError: at the first step, if neither epochs nor steps limit the training.
        """

        def factor(step: int) -> float:  # step 0 comes before the trainer knows its number of batches
            if not step:
                return self.factor(0.0)
            total = total_batches(trainer)
            if total is None:
                raise UserError(
                    "a learning rate schedule needs the length of the training: set trainer.max_epochs or max_steps"
                )
            return self.factor(min(1.0, step / total))

        scheduler = LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


class Constant(Schedule):
    """The optimizer's own learning rate, unchanged."""

    def factor(self, progress: float) -> float:
        return 1.0

    def configure(self, optimizer: Optimizer, trainer: Trainer) -> dict[str, Any]:
        return {"optimizer": optimizer}


class Cosine(Schedule):
    """A linear warm-up, then half a cosine down (Loshchilov & Hutter 2017, without restarts)."""

    def __init__(self, warmup: float = 0.0, final: float = 0.0) -> None:
        """Check and store the options.

        Args:
            warmup: Share of the training, from 0 to below 1, in which the factor grows linearly from nearly 0 to 1.
            final: Factor at the end, at least 0.

        Raises:
            UserError: For an option out of its range.
        """
        check_share("schedule.warmup", warmup)
        check_at_least("schedule.final", final, 0)
        self.warmup, self.final = warmup, final

    def factor(self, progress: float) -> float:
        if progress < self.warmup:
            return max(progress / self.warmup, 1e-3)
        return cosine(1.0, self.final, (progress - self.warmup) / (1 - self.warmup))


class OneCycle(Schedule):
    """Up to the optimizer's learning rate and down again, along two half cosines (Smith & Topin 2018)."""

    def __init__(self, warmup: float = 0.3, initial: float = 0.04, final: float = 4e-6) -> None:
        """Check and store the options; the defaults are those of torch's OneCycleLR.

        Args:
            warmup: Share of the training, from 0 to below 1, before the peak.
            initial: Factor at the start, at least 0.
            final: Factor at the end, at least 0.

        Raises:
            UserError: For an option out of its range.
        """
        check_share("schedule.warmup", warmup)
        check_at_least("schedule.initial", initial, 0)
        check_at_least("schedule.final", final, 0)
        self.warmup, self.initial, self.final = warmup, initial, final

    def factor(self, progress: float) -> float:
        if progress < self.warmup:
            return cosine(self.initial, 1.0, progress / self.warmup)
        return cosine(1.0, self.final, (progress - self.warmup) / (1 - self.warmup))


class Steps(Schedule):
    """Multiplied by `gamma` at each of the given points of the training."""

    def __init__(self, at: tuple[float, ...] = (0.5, 0.75), gamma: float = 0.1) -> None:
        """Check and store the options.

        Args:
            at: Points of the training, as shares from 0 to below 1.
            gamma: Factor applied at each of them, at least 0.

        Raises:
            UserError: For an option out of its range.
        """
        for point in at:
            check_share("schedule.at", point)
        check_at_least("schedule.gamma", gamma, 0)
        self.at, self.gamma = at, gamma

    def factor(self, progress: float) -> float:
        return self.gamma ** sum(progress >= point for point in self.at)


def cosine(start: float, end: float, progress: float) -> float:
    """Value on half a cosine from `start` to `end`, at `progress` from 0 to 1."""
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


def total_batches(trainer: Trainer) -> int | None:
    """Length of the training in optimizer steps, as `global_step` counts them; None if nothing limits it.

    A step is a batch, or a group of `accumulate_grad_batches`.
    """
    limits = []
    if trainer.max_epochs is not None and trainer.max_epochs >= 0 and math.isfinite(trainer.num_training_batches):
        per_epoch = math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches)
        limits.append(trainer.max_epochs * per_epoch)
    if trainer.max_steps >= 0:
        limits.append(trainer.max_steps)
    return max(1, min(limits)) if limits else None
