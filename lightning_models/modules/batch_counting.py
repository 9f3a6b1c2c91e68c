"""`global_step` counts training batches, also under manual optimization with several optimizers.

Under automatic optimization it counts optimizer steps: several batches each with `accumulate_grad_batches`.
"""

import inspect

from pytorch_lightning import Trainer

from lab.compat.manual_steps import count_step, leave_counting_to_the_module
from lab.errors import UserError
from lightning_models.modules.plain_checkpoint import PlainCheckpoint


class CountsBatches(PlainCheckpoint):
    """A module with manual optimization whose `trainer.global_step` moves once a batch.

    Call `count_batch` at the end of `training_step`.
    """

    def on_fit_start(self) -> None:
        """Refuse optimizers such as LBFGS, whose step evaluates the loss again and again.

        Raises:
            UserError: for such an optimizer.
        """
        super().on_fit_start()
        for optimizer in self.trainer.optimizers:
            closure = inspect.signature(type(optimizer).step).parameters.get("closure")
            if closure is not None and closure.default is inspect.Parameter.empty:
                raise UserError(
                    f"a {type(self).__name__} cannot learn with {type(optimizer).__name__}, which evaluates the loss "
                    "several times a step: choose another optimizer, such as Adam"
                )
        leave_counting_to_the_module(self.trainer)

    def count_batch(self) -> None:
        """Move `trainer.global_step` by one."""
        count_step(self.trainer)

    def should_log(self, within: int = 1) -> bool:
        """Whether this batch is logged; see the function of this name."""
        return should_log(self.trainer, within)


def batches_before(trainer: Trainer) -> int:
    """Training batches before the current one, over all epochs.

    `global_step` is this number only where each batch makes one step.
    """
    before: int = trainer.fit_loop.total_batch_idx
    return before


def should_log(trainer: Trainer, within: int = 1) -> bool:
    """Whether the metrics of this batch, or of one of the `within - 1` after it, are written to the loggers.

    Everything that costs time (`self.log` takes 0.4 ms a call) is done on those batches only.
    """
    every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
    if every < 1:  # Lightning's word for never
        return False
    batches_left = -(trainer.global_step + 1) % every
    return batches_left < within
