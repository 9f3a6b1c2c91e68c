"""A callback that holds a run in a phase until a signal has come, so that it comes in that phase."""

import os
import time
from pathlib import Path

from pytorch_lightning import Callback

from lab.stops import asked
from tests.cluster.trainings import PATIENCE

HOOKS = {  # by phase
    "setup": "setup",
    "batch": "on_train_batch_start",
    "after": "on_train_batch_end",
    "validation": "on_validation_batch_start",
    "checkpoint": "on_save_checkpoint",
    "end": "on_fit_end",
}


class Pause(Callback):
    """In the n-th start of a job: writes a file with the name of the n-th phase, and waits for a signal.

    Of several processes one waits, another one in each start; the others go on until they need it.

    Args:
        phases: keys of HOOKS separated by commas; `batch@5` is not before five batches are done.
        folder: of the files.
    """

    def __init__(self, phases: str, folder: str) -> None:
        self.start, every = int(os.environ.get("SLURM_RESTART_COUNT", 0)), phases.split(",")
        if self.start < len(every):
            self.marker = Path(folder) / every[self.start]
            phase, _, batch = every[self.start].partition("@")
            self.batch = int(batch or 0)
            setattr(self, HOOKS[phase], self.wait)

    def wait(self, trainer, *args, **kwargs):
        is_elsewhere = trainer.global_rank != self.start % trainer.world_size
        if is_elsewhere or trainer.global_step < self.batch or self.marker.exists():
            return
        self.marker.touch()
        until = time.monotonic() + PATIENCE
        while asked() is None and time.monotonic() < until:
            time.sleep(0.02)


def pause(folder, *phases):
    """The options of `fit` that add Pause."""
    return [
        f"--trainer.callbacks+={__name__}.Pause",
        f"--trainer.callbacks.phases={','.join(phases)}",
        f"--trainer.callbacks.folder={folder}",
    ]
