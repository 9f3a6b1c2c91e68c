"""Callbacks that end a run the way the world does, named on the command line as --trainer.callbacks+=<class path>."""

import os
import signal

from pytorch_lightning import Callback


class SigTerm(Callback):
    """What a cluster sends before it takes a machine away, at the first call of `hook` from that batch on."""

    def __init__(self, batch: int, hook: str) -> None:
        self.batch, self.is_sent = batch, False
        setattr(self, hook, self.stop)

    def stop(self, trainer, *args):
        if trainer.global_step >= self.batch and not self.is_sent:
            self.is_sent = True
            os.kill(os.getpid(), signal.SIGTERM)


class CtrlC(Callback):
    """Ctrl-C in that batch."""

    def __init__(self, batch: int) -> None:
        self.batch = batch

    def on_train_batch_start(self, trainer, *args):
        if trainer.global_step == self.batch:
            raise KeyboardInterrupt


def sigterm(batch, hook="on_train_batch_start"):
    """The options of `fit` that add SigTerm."""
    name = f"{__name__}.SigTerm"
    return [f"--trainer.callbacks+={name}", f"--trainer.callbacks.batch={batch}", f"--trainer.callbacks.hook={hook}"]


def ctrl_c(batch):
    """The options of `fit` that add CtrlC."""
    return [f"--trainer.callbacks+={__name__}.CtrlC", f"--trainer.callbacks.batch={batch}"]
