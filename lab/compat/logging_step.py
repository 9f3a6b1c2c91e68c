"""Lightning's own x axis of logged metrics, `_TrainingEpochLoop._batches_that_stepped`.

`global_step` counts optimizer steps; this count has one step a batch, whatever the number of optimizers, and decides on
which batches Lightning writes a row. It has no public name.

Checked with pytorch-lightning 2.6; pinned by tests/lightning_models/callbacks/test_seams.py.
"""

from pytorch_lightning import Trainer


def writes_a_row(trainer: Trainer) -> bool:
    """Whether Lightning passes the metrics of the present training batch on to the loggers."""
    every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
    return (trainer.fit_loop.epoch_loop._batches_that_stepped + 1) % every == 0


def rewind_logging_step(trainer: Trainer) -> None:
    """Store the count as a checkpoint of the validation itself would, if the epoch continues after it.

    Lightning counts the batch before a validation again on resuming from a checkpoint that the validation wrote.
    """
    loop = trainer.fit_loop.epoch_loop
    if not loop._is_training_done:
        loop._batches_that_stepped -= 1
