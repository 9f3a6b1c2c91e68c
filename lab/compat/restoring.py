"""Tells whether an error was raised while Lightning restored a checkpoint, rather than later in the run.

The content of a checkpoint is the user's input, but errors about it have no type of their own. Lightning restores in
two steps, before and after it sets up the optimizers; no public hook surrounds them.

Checked with pytorch-lightning 2.6; pinned by tests/lab/training/test_checkpoints.py.
"""

from traceback import walk_tb

STEPS = ("_restore_modules_and_callbacks", "restore_training_state")


def while_restoring(error: BaseException) -> bool:
    """Whether one of Lightning's functions that restore a checkpoint is among the frames of the error."""
    return any(frame.f_code.co_name in STEPS for frame, _ in walk_tb(error.__traceback__))
