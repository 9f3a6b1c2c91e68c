import functools
from types import SimpleNamespace

import pytest
import torch
from pytorch_lightning import Trainer

from datamodules.tensor_dataset import TensorLoader
from lightning_models.callbacks.image_samples import ImageSamples, half_of_training
from lightning_models.networks import MLPDiscriminator, MLPGenerator
from lightning_models.vae import VAE

pytestmark = pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no `val_dataloader`")


def trainer(**attributes):
    options = {"max_steps": -1, "max_epochs": None, "num_training_batches": 10, "accumulate_grad_batches": 1}
    return SimpleNamespace(**options | attributes)


def test_half_of_training():
    assert half_of_training(trainer(max_epochs=3)) == 15
    assert half_of_training(trainer(max_steps=8, max_epochs=3)) == 4
    assert half_of_training(trainer(max_epochs=3, accumulate_grad_batches=4)) == 4  # of 3 * 3 steps
    assert half_of_training(trainer(max_epochs=-1)) is None  # until max_time
    assert half_of_training(trainer(max_epochs=3, num_training_batches=float("inf"))) is None


@pytest.mark.parametrize(
    ("options", "grids"),
    [({}, [0, 4, 8]), ({"every_n_batches": 6}, [0, 3, 4, 6, 8])],  # after batches 6 and 12, and half of 16
)
def test_grids_where_two_batches_make_a_step(tmp_path, options, grids):
    images = torch.rand(8, *(1, 8, 8))
    small = {"encoder": functools.partial(MLPDiscriminator, hidden_dims=[8])}
    small["decoder"] = functools.partial(MLPGenerator, hidden_dims=[8], output="none")
    Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        default_root_dir=tmp_path,
        max_epochs=2,
        accumulate_grad_batches=2,
        callbacks=[ImageSamples(grid=1, every_n_epochs=0, progress_columns=0, interpolation_steps=0, **options)],
    ).fit(VAE((1, 8, 8), latent_dim=2, **small), TensorLoader((images, torch.zeros(8)), batch_size=1))
    assert sorted(path.name for path in (tmp_path / "samples").iterdir()) == [f"grid-{n:07d}.png" for n in grids]


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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"grid": 0}, r"samples\.grid is 0: expected at least 1"),
        ({"every_n_epochs": -1}, r"samples\.every_n_epochs is -1: expected at least 0"),
        ({"progress_columns": -1}, r"samples\.progress_columns is -1: expected at least 0"),
        ({"progress_rows": 0}, r"samples\.progress_rows is 0: expected at least 1"),
        ({"interpolation_steps": 1}, r"samples\.interpolation_steps is 1: expected 0 for no .*, or at least 2"),
        ({"interpolation_steps": -2}, r"samples\.interpolation_steps is -2: expected 0"),
    ],
)
def test_options_out_of_their_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ImageSamples(**options)


def test_what_zero_switches_off_is_allowed():
    ImageSamples(every_n_epochs=0, progress_columns=0, interpolation_steps=0)
