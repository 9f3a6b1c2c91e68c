"""Removes an argument that Lightning's WandbLogger passes to `wandb.init` and that wandb warns about.

`WandbLogger` always passes `anonymous`, which recent versions of wandb have deprecated. Its arguments are stored in the
private `_wandb_init`; the constructor cannot leave one out.

Checked with pytorch-lightning 2.6; pinned by tests/lightning_models/tracking/test_wandb.py.
"""

from pytorch_lightning.loggers import WandbLogger


def drop_deprecated_arguments(logger: WandbLogger) -> None:
    """Call this before the logger starts its run."""
    logger._wandb_init.pop("anonymous", None)
