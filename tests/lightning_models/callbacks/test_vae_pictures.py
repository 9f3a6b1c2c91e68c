import functools
from types import SimpleNamespace

import pytest
import torch
from pytorch_lightning import Trainer
from torch import distributions

from datamodules.tensor_dataset import TensorLoader
from lightning_models.callbacks import vae_pictures
from lightning_models.callbacks.vae_pictures import VAEPictures, between_images, encoded, manifold, traversals
from lightning_models.gan import GAN
from lightning_models.losses.likelihoods import BinarizedBernoulli
from lightning_models.networks import MLPDiscriminator, MLPGenerator
from lightning_models.vae import VAE

IMAGE_SHAPE = (1, 8, 8)


def small_vae(latent_dim, **options):
    encoder = functools.partial(MLPDiscriminator, hidden_dims=[8])
    decoder = functools.partial(MLPGenerator, hidden_dims=[8], output="none")
    return VAE(IMAGE_SHAPE, latent_dim=latent_dim, encoder=encoder, decoder=decoder, **options)


def loader(value, count=6):
    return TensorLoader((torch.full((count, *IMAGE_SHAPE), value), torch.zeros(count)), batch_size=4)


def fit(module, pictures, tmp_path, validation=None):
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=1,
        num_sanity_val_steps=0,
        enable_checkpointing=False,
        callbacks=[pictures],
        default_root_dir=tmp_path,
        **quiet,
    )
    trainer.fit(module, loader(0.25), validation)
    return sorted(path.stem for path in tmp_path.rglob("*.png"))


def test_all_pictures_of_held_out_images(tmp_path):
    pictures = VAEPictures(manifold_side=3)
    names = fit(small_vae(2), pictures, tmp_path, loader(0.75))
    assert names == ["between_images", "manifold", "reconstructions", "traversals"]
    assert pictures.images.unique().tolist() == [0.75]


@pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no `val_dataloader`")
def test_pictures_of_training_images_where_there_are_no_others(tmp_path):
    pictures = VAEPictures()
    assert fit(small_vae(3), pictures, tmp_path) == ["between_images", "reconstructions", "traversals"]  # no plane
    assert pictures.images.unique().tolist() == [0.25]


@pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no `val_dataloader`")
def test_other_models_are_left_alone(tmp_path):
    networks = {
        "generator": functools.partial(MLPGenerator, hidden_dims=[8], output="sigmoid"),
        "discriminator": functools.partial(MLPDiscriminator, hidden_dims=[8]),
    }
    assert fit(GAN(IMAGE_SHAPE, (0.0, 1.0), 4, **networks), VAEPictures(), tmp_path) == []


def test_the_training_is_not_changed():
    module = small_vae(4, likelihood=BinarizedBernoulli).train()
    state = torch.get_rng_state()
    originals, mean, kl = encoded(module, torch.rand(6, *IMAGE_SHAPE, generator=torch.Generator().manual_seed(1)))
    assert set(originals.unique().tolist()) == {0.0, 1.0}  # what a model of binarised pixels sees
    assert (mean.shape, kl.shape) == ((6, 4), (4,))
    assert torch.equal(state, torch.get_rng_state())
    assert module.training
    assert module.encoder.training


def test_a_row_goes_from_one_original_to_its_neighbour(monkeypatch):
    shown = []
    monkeypatch.setattr(vae_pictures, "to_picture", lambda *args: shown.append(args))
    module, originals, mean = small_vae(4), torch.rand(5, *IMAGE_SHAPE), torch.randn(5, 4)
    between_images(module, originals, module.latents(mean, torch.zeros(5)), steps=3)
    ((images, columns),) = shown
    rows = images.view(2, columns, *IMAGE_SHAPE)  # the fifth image has no neighbour
    assert columns == 5
    assert torch.equal(rows[:, 0], originals[[0, 2]])
    assert torch.equal(rows[:, -1], originals[[1, 3]])
    assert torch.allclose(rows[:, 1], module.decode(mean[[0, 2]]), atol=1e-6)
    assert torch.allclose(rows[:, -2], module.decode(mean[[1, 3]]), atol=1e-6)


def test_a_traversal_moves_one_variable_and_no_other():
    start = torch.tensor([5.0, 6.0, 7.0])
    latent = traversals(start, torch.tensor([2, 0]), steps=3, reach=2.0)
    assert latent.tolist() == [[5, 6, -2], [5, 6, 0], [5, 6, 2], [-2, 6, 7], [0, 6, 7], [2, 6, 7]]


def test_the_manifold_is_evenly_spread_in_probability():
    latent = manifold(4)
    shares = distributions.Normal(0.0, 1.0).cdf(latent).view(4, 4, 2)
    middles = torch.tensor([0.125, 0.375, 0.625, 0.875])
    assert torch.allclose(shares[..., 0], middles.expand(4, 4), atol=1e-6)  # to the right
    assert torch.allclose(shares[..., 1], middles.flip(0)[:, None].expand(4, 4), atol=1e-6)  # upwards


def test_walks_take_their_options_and_the_variables_that_tell_most(monkeypatch):
    pictures, walked = {}, []
    monkeypatch.setattr(vae_pictures, "to_picture", lambda *args: args)
    monkeypatch.setattr(vae_pictures, "save_picture", lambda trainer, name, picture: pictures.update({name: picture}))
    monkeypatch.setattr(vae_pictures, "traversals", lambda *args: walked.append(args) or traversals(*args))
    kl = torch.tensor([0.5, 3.0])
    means = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    monkeypatch.setattr(vae_pictures, "encoded", lambda vae, images, labels: (images, means, kl))
    vae = small_vae(2)
    drawing = VAEPictures(steps=5, variables=1, reach=2.0, manifold_side=4)
    drawing.images, drawing.labels = torch.rand(2, *IMAGE_SHAPE), torch.zeros(2, dtype=torch.long)
    drawing.write_walks(SimpleNamespace(is_global_zero=True), vae)
    ((start, variables, steps, reach),) = walked
    assert (start.tolist(), variables.tolist(), steps, reach) == ([1.0, 2.0], [1], 5, 2.0)
    images, columns, labels = pictures["traversals"]
    assert (len(images), columns, labels) == (5, 5, ["z1 (3.0 nats)"])
    assert torch.equal(images, vae.decode(traversals(start, variables, 5, 2.0)))
    images, columns = pictures["manifold"]
    assert (len(images), columns) == (16, 4)
    assert pictures["between_images"][1] == 5 + 2


def test_reconstructions_stand_under_their_images(monkeypatch):
    written = []
    monkeypatch.setattr(vae_pictures, "to_picture", lambda *args: args)
    monkeypatch.setattr(vae_pictures, "save_picture", lambda trainer, *args: written.append(args))
    vae = small_vae(3)
    pictures = VAEPictures(columns=2)
    images = torch.rand(4, *IMAGE_SHAPE)
    pictures.on_validation_batch_end(None, vae, None, (images, torch.zeros(4)), 0)
    pictures.on_validation_batch_end(
        None, vae, None, (torch.zeros(4, *IMAGE_SHAPE), torch.zeros(4)), 1
    )  # the first stay
    pictures.on_train_batch_end(None, vae, None, (torch.ones(4, *IMAGE_SHAPE), torch.zeros(4)), 0)
    pictures.on_validation_end(SimpleNamespace(is_global_zero=True), vae)
    ((name, (rows, columns, labels)),) = written
    assert (name, columns, labels) == ("reconstructions", 2, ["image", "reconstruction"])
    originals, mean, _ = encoded(vae, images[:2])
    assert torch.equal(rows, torch.cat([originals, vae.decode(mean)]))


def test_images_are_joined_along_a_great_circle(monkeypatch):
    """Half-way between two orthogonal vectors of one length it has that length; a straight line cuts the corner."""
    monkeypatch.setattr(vae_pictures, "to_picture", lambda images, columns: images)
    module, originals, ends = small_vae(2), torch.rand(2, *IMAGE_SHAPE), torch.tensor([[2.0, 0.0], [0.0, 2.0]])
    rows = between_images(module, originals, module.latents(ends, torch.zeros(2)), steps=3)
    assert torch.allclose(rows[2], module.decode(torch.full((1, 2), 2**0.5))[0], atol=1e-6)
