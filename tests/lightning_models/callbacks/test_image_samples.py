import functools
from types import SimpleNamespace

import pytest
import torch
from pytorch_lightning import Trainer

from datamodules.tensor_dataset import TensorLoader
from lightning_models.callbacks.image_samples import ImageSamples, half_of_training
from lightning_models.modules.image_generator import ImageGenerator
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


class Asked(ImageGenerator):
    """Remembers what it was asked for."""

    def __init__(self, class_names=None):
        self.class_names, self.asked = class_names, []

    def draw_vectors(self, count, generator):
        raise AssertionError

    def decode(self, latent):
        raise AssertionError

    def sample(self, count, seed, labels=None):
        self.asked.append((count, seed, None if labels is None else labels.tolist()))
        return torch.full((count, 1, 2, 2), 2.0)

    def interpolation(self, steps, seed, mode="spherical", labels=None):
        self.asked.append((steps, seed, mode))
        return torch.zeros(steps, 1, 2, 2)


def at(step, epoch=0, **attributes):
    return trainer(global_step=step, current_epoch=epoch, is_global_zero=True, **attributes)


@pytest.fixture
def written(monkeypatch):
    """(name, images, columns and labels of its rows) of each picture."""
    pictures = []
    module = "lightning_models.callbacks.image_samples"
    monkeypatch.setattr(f"{module}.to_picture", lambda *args: args)
    monkeypatch.setattr(f"{module}.save_picture", lambda _, name, picture, key=None: pictures.append((name, *picture)))
    monkeypatch.setattr(f"{module}.batches_before", lambda trainer: trainer.global_step - 1)
    return pictures


def test_every_picture_is_of_the_seed_that_was_given(written):
    options = {"grid": 3, "progress_columns": 4, "interpolation_steps": 5, "interpolation_mode": "linear", "seed": 7}
    samples, model = ImageSamples(**options), Asked()
    samples.on_train_start(at(0), model)
    samples.on_train_epoch_end(at(10), model)
    samples.on_train_end(at(10), model)
    assert model.asked == [(9, 7, None), (9, 7, None), (4, 7, None), (5, 7, "linear")]
    names = [(name, columns) for name, _, columns, *_ in written]
    grids = [("grid-0000000", 3), ("grid-0000010", 3)]
    assert names == [*grids, ("progress", 4), ("progress", 4), ("interpolation", 5)]
    assert written[2][1].unique().tolist() == [1.0]  # clamped


def test_a_resumed_run_has_no_grid_of_an_untrained_model(written):
    ImageSamples().on_train_start(at(5), Asked())
    assert written == []


@pytest.mark.parametrize(
    ("options", "epochs"),
    [({}, [1, 2, 3, 4]), ({"every_n_epochs": 2}, [2, 4]), ({"every_n_epochs": 0}, []), ({"every_n_batches": 7}, [])],
)
def test_grids_after_every_so_many_epochs(written, options, epochs):
    samples = ImageSamples(progress_columns=0, **options)
    for epoch in range(1, 5):
        samples.on_train_epoch_end(at(10 * epoch, epoch - 1), Asked())
    assert [name for name, *_ in written] == [f"grid-{10 * epoch:07d}" for epoch in epochs]


def test_grids_after_every_so_many_batches_and_half_way(written):
    samples, model = ImageSamples(every_n_batches=4), Asked()
    for step in range(1, 11):
        samples.on_train_batch_end(at(step, max_epochs=1), model)
    assert [name for name, *_ in written] == [f"grid-{step:07d}" for step in (4, 5, 8)]


@pytest.mark.parametrize(("count", "grid", "rows"), [(3, 2, 3), (20, 2, 20), (50, 2, 20), (50, 25, 25)])
def test_a_grid_of_a_conditional_model_has_a_row_a_class(written, count, grid, rows):
    model = Asked([f"class {number}" for number in range(count)])
    ImageSamples(grid=grid, seed=3).on_train_start(at(0), model)
    ((asked, seed, labels),) = model.asked
    assert (asked, seed) == (grid * rows, 3)
    assert labels[::grid] == labels[grid - 1 :: grid] == sorted(set(labels))
    assert (labels[0], labels[-1]) == (0, count - 1)
    assert written[0][3] == [f"class {number}" for number in labels[::grid]]
