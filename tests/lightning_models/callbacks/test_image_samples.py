from types import SimpleNamespace

import pytest
import torch

from lightning_models.callbacks.image_samples import ImageSamples, half_of_training


def trainer(**attributes):
    return SimpleNamespace(**{"max_steps": -1, "max_epochs": None, "num_training_batches": 10, **attributes})


def test_half_of_training():
    assert half_of_training(trainer(max_epochs=3)) == 15
    assert half_of_training(trainer(max_steps=8, max_epochs=3)) == 4
    assert half_of_training(trainer(max_epochs=-1)) is None  # until max_time
    assert half_of_training(trainer(max_epochs=3, num_training_batches=float("inf"))) is None


def test_a_long_run_is_shown_in_evenly_spread_rows(monkeypatch, tmp_path):
    shown = []
    monkeypatch.setattr(
        "lightning_models.callbacks.image_samples.to_picture", lambda *args: shown.append(args) or "picture"
    )
    monkeypatch.setattr("lightning_models.callbacks.image_samples.save_picture", lambda *args: None)
    samples = ImageSamples(progress_columns=2, progress_rows=3)
    samples.progress = [torch.full((2, 1, 8, 8), epoch, dtype=torch.uint8) for epoch in range(101)]
    samples.write_progress(SimpleNamespace(is_global_zero=True))
    ((images, columns, labels),) = shown
    assert labels == ["epoch 1", "epoch 51", "epoch 101"]
    assert columns == 2
    assert (images[:, 0, 0, 0] * 255).round().int().tolist() == [0, 0, 50, 50, 100, 100]


def test_the_strip_survives_a_resume():
    samples = ImageSamples()
    samples.progress = [torch.full((10, 1, 8, 8), 7, dtype=torch.uint8)]
    resumed = ImageSamples()
    resumed.load_state_dict(samples.state_dict())
    assert torch.equal(resumed.progress[0], samples.progress[0])


def test_a_grid_without_rows_is_refused():
    with pytest.raises(ValueError, match=r"samples\.grid is 0"):
        ImageSamples(grid=0)
