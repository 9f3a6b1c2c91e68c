"""`global_step` counts training batches, also under manual optimization with several optimizers.

Under automatic optimization it counts optimizer steps: several batches each with `accumulate_grad_batches`.
"""

from pytorch_lightning import Trainer

from lightning_models.modules.plain_checkpoint import PlainCheckpoint


class CountsBatches(PlainCheckpoint):
    """A module with manual optimization whose `trainer.global_step` moves once a batch.

    Lightning counts optimizer steps, so two optimizers would halve `max_steps`, double the interval of checkpoints and
    put pictures and losses on different axes (Lightning issue 17958). Call `count_batch` at the end of `training_step`:
    the count lives in Lightning's own progress tracker, and so in the checkpoint. This is the one place that touches
    Lightning's internals for it; `test_global_step_counts_batches` pins the behaviour.
    """

    def on_fit_start(self) -> None:
        """Take the counting out of the optimizers' steps; profiling stays."""
        super().on_fit_start()
        loop = self.trainer.fit_loop.epoch_loop.manual_optimization
        profiler = self.trainer.profiler  # type: ignore[attr-defined]
        loop._on_before_step = lambda: profiler.start("optimizer_step")  # type: ignore[method-assign]
        loop._on_after_step = lambda: profiler.stop("optimizer_step")  # type: ignore[method-assign]

    def count_batch(self) -> None:
        """Move `trainer.global_step` by one."""
        progress = self.trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress
        progress.increment_ready()
        progress.increment_completed()

    def should_log(self, within: int = 1) -> bool:
        """Whether this batch is logged; see `should_log`."""
        return should_log(self.trainer, within)


def batches_before(trainer: Trainer) -> int:
    """Training batches before the present one, over all epochs; `global_step` counts them only if each makes a step."""
    before: int = trainer.fit_loop.total_batch_idx
    return before


def should_log(trainer: Trainer, within: int = 1) -> bool:
    """Whether the metrics of this batch, or of one of the `within - 1` after it, are written to the loggers.

    Everything that costs time (`self.log` is 0.4 ms a call) is done on those batches only.
    """
    every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
    batches_left = -(trainer.global_step + 1) % every
    return batches_left < within
