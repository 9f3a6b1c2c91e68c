from types import SimpleNamespace

import torch

from lightning_models.callbacks.progress import ProgressBar


def test_losses_and_speed_are_shown():
    logged = {
        "train/d_loss": torch.tensor(0.123456),
        "train/nats_per_char": torch.tensor(2.0),
        "train/d_accuracy_real": torch.tensor(0.5),
        "train/samples_per_second": torch.tensor(12345.6),
    }
    shown = ProgressBar().get_metrics(SimpleNamespace(logged_metrics=logged), None)
    assert shown == {"d_loss": "0.123", "nats_per_char": "2", "samples/s": "12,346"}
    assert ProgressBar().get_metrics(SimpleNamespace(logged_metrics={}), None) == {}
