"""Hides a SIGTERM from Lightning for a while and shows it again.

Lightning 2.6 raises SIGTERMException also in the middle of a validation, whose metrics a resumed run would never log.
`Trainer.received_sigterm` is public but read-only; the flag behind it belongs to the private signal connector.

Checked with pytorch-lightning 2.6; pinned by tests/lightning_models/callbacks/test_seams.py.
"""

from pytorch_lightning import Trainer


def set_received_sigterm(trainer: Trainer, received: bool) -> None:
    """Set what `trainer.received_sigterm` returns, and what Lightning's loops act on."""
    trainer._signal_connector.received_sigterm = received
