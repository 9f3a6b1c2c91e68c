"""What Lightning does wrong when a run goes on from the end of an epoch."""

from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer


class ResumeAfterEpoch(Callback):
    """Lets a run that went on from the end of an epoch begin with the next one.

    Where `max_steps` is given, Lightning 2.6 takes every checkpoint for one from the middle of an epoch: it ends the
    finished epoch once more, without a batch in it, with all that is measured, drawn and logged at the end of one.
    """

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Before the loops are restored, which ask for this; there is no other way than their private method."""
        trainer.fit_loop._iteration_based_training = lambda: False  # type: ignore[method-assign]
