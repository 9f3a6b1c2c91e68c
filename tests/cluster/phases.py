"""A callback that holds a run in one of its phases until a signal has come, so that it comes in that phase."""

import os
import time
from pathlib import Path

from pytorch_lightning import Callback

from lab.stops import asked

BATCH = 5  # in which the phases of a batch lie: in the middle of the second epoch of four batches
HOOKS = {  # by phase
    "setup": "setup",
    "batch": "on_train_batch_start",
    "after": "on_train_batch_end",
    "validation": "on_validation_batch_start",
    "checkpoint": "on_save_checkpoint",
    "end": "on_fit_end",
}


class Pause(Callback):
    """In the first start of a run: writes the file `marker`, and waits for a signal for at most 30 seconds."""

    def __init__(self, phase: str, marker: str) -> None:
        self.marker, self.phase = Path(marker), phase
        if phase in HOOKS:
            setattr(self, HOOKS[phase], self.wait)

    def wait(self, trainer, *args, **kwargs):
        is_there = self.phase in ("setup", "end") or trainer.global_step >= BATCH
        if not is_there or self.marker.exists() or os.environ.get("SLURM_PROCID", "0") != "0":
            return
        self.marker.touch()
        until = time.monotonic() + 30
        while asked() is None and time.monotonic() < until:
            time.sleep(0.02)


def pause(phase, marker):
    """The options of `fit` that add Pause."""
    return [
        f"--trainer.callbacks+={__name__}.Pause",
        f"--trainer.callbacks.phase={phase}",
        f"--trainer.callbacks.marker={marker}",
    ]
