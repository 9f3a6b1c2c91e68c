"""Turns off Lightning's handling of signals, except for the flag that ends its loops.

Lightning 2.6 broadcasts inside its handler of SIGTERM, where other processes may be in any other collective; under
SLURM it writes a checkpoint and requeues the job inside its handler of SIGUSR1, in the middle of a batch; it broadcasts
its flag before every batch; and it raises SIGTERMException in the middle of a validation. `CheckpointWhenStopped` does
all of that between batches. `Trainer.received_sigterm` is public but read-only; the flag behind it belongs to the
private signal connector, and so do the handlers.

Checked with pytorch-lightning 2.6; pinned by tests/lightning_models/callbacks/test_seams.py.
"""

from pytorch_lightning import Trainer


def leave_signals_to_us(trainer: Trainer) -> None:
    """Lightning installs no handler, requeues no job and exchanges nothing; call it in `setup`."""
    trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]
    trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None  # type: ignore[method-assign]


def set_received_sigterm(trainer: Trainer, received: bool) -> None:
    """Set what `trainer.received_sigterm` returns: the loops raise SIGTERMException after the batch or the epoch."""
    trainer._signal_connector.received_sigterm = received
