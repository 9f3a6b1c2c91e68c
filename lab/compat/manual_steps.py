"""Lets a module with manual optimization say itself when `trainer.global_step` moves.

Lightning counts the steps of all optimizers: two optimizers halve `max_steps`, double the interval of checkpoints and
put pictures and losses on different axes (Lightning issue 17958). The count lives in the loop's progress tracker, and
so in the checkpoint; the hooks around an optimizer's step that move it have no public name.

Checked with pytorch-lightning 2.6; pinned by `test_global_step_counts_batches` in tests/lightning_models/test_gan.py.
"""

from pytorch_lightning import Trainer


def leave_counting_to_the_module(trainer: Trainer) -> None:
    """Stop the steps of optimizers from moving `global_step`; they are still profiled. Call it in `on_fit_start`."""
    loop = trainer.fit_loop.epoch_loop.manual_optimization
    profiler = trainer.profiler  # type: ignore[attr-defined]
    loop._on_before_step = lambda: profiler.start("optimizer_step")  # type: ignore[method-assign]
    loop._on_after_step = lambda: profiler.stop("optimizer_step")  # type: ignore[method-assign]


def count_step(trainer: Trainer) -> None:
    """Move `global_step` by one."""
    progress = trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress
    progress.increment_ready()
    progress.increment_completed()
