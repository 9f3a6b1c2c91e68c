"""Schedules: a factor of a number, such as the optimizer's own learning rate, as a function of training progress."""

import math
from abc import ABC, abstractmethod
from typing import Any

from pytorch_lightning import Trainer
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from lab.errors import UserError
from lightning_models.modules.checks import check_at_least, check_share


class Schedule(ABC):
    """A number from the first batch to the last."""

    @abstractmethod
    def factor(self, progress: float) -> float:
        """The factor of the number at `progress`, from 0 (first batch) to 1 (end of training)."""

    def apply(self, optimizer: Optimizer, progress: float) -> None:
        """Set the optimizer's learning rate for a batch, under manual optimization; it depends on `progress` only."""
        self.move_beta2(optimizer, progress)
        for group in optimizer.param_groups:
            group["lr"] = optimizer.defaults["lr"] * self.factor(progress)

    def move_beta2(self, optimizer: Optimizer, progress: float) -> None:  # noqa: B027, most leave it alone
        """Set Adam's beta2, where it is scheduled, too."""

    def configure(self, optimizer: Optimizer, trainer: Trainer) -> dict[str, Any]:
        """The return value of `configure_optimizers`: the optimizer, and a scheduler that steps after every batch.

        The length of the training is looked up at each step. With `trainer.estimated_stepping_batches`, Lightning's own
        way, a resumed run forgets its place in the epoch (Lightning issue 20550).

        Raises:
            UserError: at the first step, if neither epochs nor steps limit the training.
        """

        def factor(step: int) -> float:  # step 0 comes before the trainer knows its number of batches
            progress = training_progress(trainer, step) if step else 0.0
            self.move_beta2(optimizer, progress)
            return self.factor(progress)

        scheduler = LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


class Constant(Schedule):
    """The number itself, unchanged."""

    def factor(self, progress: float) -> float:
        return 1.0

    def apply(self, optimizer: Optimizer, progress: float) -> None:
        """Nothing to do."""

    def configure(self, optimizer: Optimizer, trainer: Trainer) -> dict[str, Any]:
        return {"optimizer": optimizer}


class Curve(Schedule):
    """A linear warm-up, then one curve to the final factor, where it stays."""

    def __init__(
        self,
        warmup: float = 0.0,
        final: float = 0.0,
        initial: float = 1.0,
        until: float = 1.0,
        final_beta2: float | None = None,
    ) -> None:
        """Check and store the options.

        Args:
            warmup: Share of the training, from 0 to below 1, in which the factor grows linearly from nearly 0.
            final: Factor at the end of the curve, at least 0.
            initial: Factor after the warm-up, at least 0.
            until: Share of the training, above `warmup` and up to 1, at which the curve ends.
            final_beta2: Of a learning rate: Adam's beta2 at the end, which it reaches along the same curve from the
                optimizer's own; null: it stays.

        Raises:
            UserError: For an option out of its range.
        """
        check_share("schedule.warmup", warmup)
        check_at_least("schedule.final", final, 0)
        check_at_least("schedule.initial", initial, 0)
        if not warmup < until <= 1:
            raise UserError(f"schedule.until is {until}: expected a number above warmup ({warmup}), up to 1")
        if final_beta2 is not None:
            check_share("schedule.final_beta2", final_beta2)
        self.warmup, self.final, self.initial, self.until = warmup, final, initial, until
        self.final_beta2 = final_beta2

    @abstractmethod
    def curve(self, start: float, end: float, share: float) -> float:
        """The value between `start` and `end` after this `share` of the way, from 0 to 1."""

    def factor(self, progress: float) -> float:
        if progress < self.warmup:
            return max(progress / self.warmup, 1e-3) * self.initial
        return self.curve(self.initial, self.final, self.share(progress))

    def share(self, progress: float) -> float:
        """The share of the way between warm-up and `until`, from 0 to 1."""
        return min(1.0, max(0.0, progress - self.warmup) / (self.until - self.warmup))

    def move_beta2(self, optimizer: Optimizer, progress: float) -> None:
        """See Schedule.

        Raises:
            UserError: for an optimizer without betas.
        """
        if self.final_beta2 is None:
            return
        if "betas" not in optimizer.defaults:
            raise UserError(
                f"schedule.final_beta2 is {self.final_beta2}, but {type(optimizer).__name__} has no beta2: "
                "leave it out, or use Adam"
            )
        beta1, beta2 = optimizer.defaults["betas"]
        for group in optimizer.param_groups:
            group["betas"] = (beta1, self.curve(beta2, self.final_beta2, self.share(progress)))


class Linear(Curve):
    """A linear warm-up, then a straight line."""

    def curve(self, start: float, end: float, share: float) -> float:
        return start + (end - start) * share


class Cosine(Curve):
    """A linear warm-up, then half a cosine (Loshchilov & Hutter 2017, without restarts)."""

    def curve(self, start: float, end: float, share: float) -> float:
        return cosine(start, end, share)


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


def training_progress(trainer: Trainer, step: int) -> float:
    """The share of the training that is done after `step` optimizer steps, from 0 to 1.

    Raises:
        UserError: if neither epochs nor steps limit the training.
    """
    total = total_batches(trainer)
    if total is None:
        raise UserError("a schedule needs the length of the training: set trainer.max_epochs or max_steps")
    return min(1.0, step / total)


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
