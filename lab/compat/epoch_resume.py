"""Makes a run that resumes at the end of an epoch start the next epoch.

Where `max_steps` is set, Lightning treats every checkpoint as one from the middle of an epoch
(`_FitLoop._iteration_based_training`): it would end the finished epoch a second time without a batch in it, and
measure, draw and log everything that belongs to the end of an epoch again. No public option changes this.

Checked with pytorch-lightning 2.6; pinned by tests/lightning_models/callbacks/test_seams.py.
"""

from pytorch_lightning import Trainer


def resume_with_the_next_epoch(trainer: Trainer) -> None:
    """Call this before the loops are restored, which is when Lightning asks."""
    trainer.fit_loop._iteration_based_training = lambda: False  # type: ignore[method-assign]
