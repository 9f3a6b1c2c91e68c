"""`global_step` counts training batches, also under manual optimization with several optimizers.

Under automatic optimization it counts optimizer steps: several batches each with `accumulate_grad_batches`.
"""

from pytorch_lightning import Trainer

from lab.compat.manual_steps import count_step, leave_counting_to_the_module
from lightning_models.modules.plain_checkpoint import PlainCheckpoint


class CountsBatches(PlainCheckpoint):
    """A module with manual optimization whose `trainer.global_step` moves once a batch.

    Call `count_batch` at the end of `training_step`.
    """

    def on_fit_start(self) -> None:
        super().on_fit_start()
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
    batches_left = -(trainer.global_step + 1) % every
    return batches_left < within
