"""Hooks that do nothing are not called, and the signatures of a model's steps are read once.

What: in callbacks and in the model, the hooks of batches and steps that their classes do not define become None, which
Lightning skips. `training_step` and its like get the `__signature__` that `inspect` would find out for every batch.
Why: Lightning calls every hook of every callback six times a batch, nearly all of them empty, each in a context of its
own with a name of its own: an eighth of the time of a small network's step. It has no public way to say which hooks a
callback has, but calls only those that are callable.
Checked on: pytorch-lightning 2.6.6 (`_call_callback_hooks`, `_call_lightning_module_hook`,
`is_param_in_hook_signature`).
Test: tests/lab/compat/test_empty_hooks.py
"""

import inspect
from collections.abc import Iterable

from pytorch_lightning import Callback, LightningModule

OF_STEPS = ("on_before_zero_grad", "on_before_backward", "on_after_backward", "on_before_optimizer_step")
OF_TRAINING = ("on_train_batch_start", "on_train_batch_end", *OF_STEPS)
OF_EVALUATION = tuple(f"on_{part}_batch_{end}" for part in ("validation", "test") for end in ("start", "end"))


STEPS = ("training_step", "validation_step", "test_step")


def keep_signatures(model: LightningModule) -> None:
    """Do so for the steps that the model's class defines."""
    for name in STEPS:
        step = getattr(type(model), name)
        if step is not getattr(LightningModule, name):
            step.__signature__ = inspect.signature(step)


def skip_empty_hooks(hooked: Iterable[Callback | LightningModule]) -> None:
    """Do so for these objects; a hook that one of them has itself, as an attribute of its own, stays."""
    for thing in hooked:
        is_callback = isinstance(thing, Callback)
        base = Callback if is_callback else LightningModule
        for name in (*OF_TRAINING, *(OF_EVALUATION if is_callback else ())):  # it inspects those of a model
            if name not in vars(thing) and getattr(type(thing), name) is getattr(base, name):
                setattr(thing, name, None)
