"""Conditional GANs and VAEs: labels come with the images and reach both networks; without them nothing changes."""

import copy
import functools

import pytest
import torch
import torch.nn.functional as F
from pytorch_lightning import Trainer

from datamodules.images import Digits
from datamodules.tensor_dataset import TensorLoader
from lab.errors import UserError
from lightning_models.gan import GAN
from lightning_models.gan_variants import WGANGP
from lightning_models.losses.objectives import RelativisticPairing
from lightning_models.losses.regularizers import R1, R2
from lightning_models.modules.augmentation import DiffAugment
from lightning_models.modules.latent import Latents
from lightning_models.networks import DCGANDiscriminator, DCGANGenerator, MLPDiscriminator, MLPGenerator
from lightning_models.vae import VAE

pytestmark = pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no `val_dataloader`")

IMAGE_SHAPE, NAMES = (1, 8, 8), ["zero", "one", "two"]
CONDITIONAL = {"conditional": True, "class_names": NAMES}
SMALL = {
    "latent_dim": 4,
    "generator": functools.partial(DCGANGenerator, width=8),
    "discriminator": functools.partial(DCGANDiscriminator, width=8, normalization="none"),
    **CONDITIONAL,
}
SMALL_VAE = {
    "latent_dim": 4,
    "encoder": functools.partial(MLPDiscriminator, hidden_dims=(16,)),
    "decoder": functools.partial(MLPGenerator, hidden_dims=(16,), batch_norm=False, output="none"),
    **CONDITIONAL,
}


def batches(count, batch_size=16):
    images = torch.rand(count * batch_size, *IMAGE_SHAPE, generator=torch.Generator().manual_seed(0))
    return TensorLoader((images, torch.arange(len(images)) % 3), batch_size)


def train(module, loader=None, **options):
    quiet = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(**quiet, enable_checkpointing=False, **{"max_epochs": 1, "log_every_n_steps": 1, **options})
    torch.manual_seed(0)
    data = {"datamodule": loader} if isinstance(loader, Digits) else {"train_dataloaders": loader or batches(1)}
    trainer.fit(module, **data)
    return trainer


def test_one_conditional_batch_is_the_algorithm_written_out():
    """Fakes have the labels of the real images, and every look of D, the penalties' too, has them as well."""
    sgd = functools.partial(torch.optim.SGD, lr=0.2)
    module = GAN(
        IMAGE_SHAPE,
        **SMALL,
        objective=RelativisticPairing(),
        regularizer=[R1(weight=3.0), R2(weight=5.0)],
        optimizer_d=sgd,
        optimizer_g=sgd,
    )
    generator, discriminator, latents = copy.deepcopy(module.generator), copy.deepcopy(module.discriminator), []
    module.generator.register_forward_pre_hook(lambda _, args: latents.append(args[0]))
    train(module)
    (latent,), (real, labels) = latents, batches(1).tensors

    fake = generator(latent, labels)
    d_loss = F.softplus(discriminator(fake.detach(), labels) - discriminator(real, labels)).mean()
    for of, weight in ((real, 3.0), (fake, 5.0)):
        images = of.detach().clone().requires_grad_()
        (slopes,) = torch.autograd.grad(discriminator(images, labels).sum(), images, create_graph=True)
        d_loss = d_loss + weight / 2 * slopes.square().sum(dim=(1, 2, 3)).mean()
    d_optimizer, g_optimizer = sgd(discriminator.parameters()), sgd(generator.parameters())
    d_loss.backward()
    d_optimizer.step()
    F.softplus(discriminator(real, labels).detach() - discriminator(fake, labels)).mean().backward()
    g_optimizer.step()
    for name, network in (("generator", generator), ("discriminator", discriminator)):
        for own, expected in zip(getattr(module, name).parameters(), network.parameters(), strict=True):
            torch.testing.assert_close(own, expected)


@pytest.mark.parametrize(
    "options",
    [
        {"fresh_noise": True, "ema_decay": 0.9, "input_noise": 0.1},
        {"augmentation": functools.partial(DiffAugment, target=0.6)},
        {"generator": functools.partial(DCGANGenerator, width=8, conditioning="batch_norm")},
        {"discriminator": functools.partial(DCGANDiscriminator, width=8, spectral_norm=True)},
    ],
)
def test_whatever_else_a_gan_has_goes_with_labels(options):
    module = GAN(IMAGE_SHAPE, **SMALL | options)
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    train(module, batches(3))
    still = [name for name, p in module.named_parameters() if torch.equal(before[name], p)]
    assert still == []


def test_a_conditional_wgan_gp_trains():
    module = WGANGP(IMAGE_SHAPE, **SMALL)
    metrics = train(module, batches(5)).callback_metrics
    assert all(value.isfinite() for value in metrics.values())
    assert "train/penalty" in metrics


def test_a_conditional_vae_encodes_and_decodes_with_the_class_of_each_image():
    module = VAE(IMAGE_SHAPE, **SMALL_VAE)
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    train(module)
    assert [name for name, p in module.named_parameters() if torch.equal(before[name], p)] == []
    images, labels = batches(1).tensors
    noise = lambda: torch.Generator().manual_seed(1)  # noqa: E731
    reconstruction, kl, mean = module.elbo_terms(images, noise(), labels)
    torch.testing.assert_close(mean, module.encoder(images, labels)[:, :4])
    latent = mean + (0.5 * module.encoder(images, labels)[:, 4:]).exp() * torch.randn(16, 4, generator=noise())
    logits = module.decoder(latent, labels)
    expected = F.binary_cross_entropy_with_logits(logits, images, reduction="none").flatten(1).sum(dim=1)
    torch.testing.assert_close(reconstruction, expected)
    bound = module.importance_weighted_bound(images, 40, noise(), labels)
    assert (bound.mean() > -(reconstruction + kl.sum(dim=1)).mean()).item()
    columns = module.predict_step((images, labels), 0)
    assert columns["elbo"].shape == (16,)


@pytest.mark.parametrize("module", [GAN(IMAGE_SHAPE, **SMALL, ema_decay=0.9), VAE(IMAGE_SHAPE, **SMALL_VAE)])
def test_samples_are_of_the_classes_that_are_asked_for_and_repeat_with_the_seed(module):
    labels = torch.tensor([2, 0, 1, 2])
    images = module.sample(4, seed=3, labels=labels)
    assert torch.equal(images, module.sample(4, seed=3, labels=labels))
    assert not torch.allclose(images, module.sample(4, seed=3, labels=labels.flip(0)), atol=1e-4)
    drawn = module.draw_latent(4, torch.Generator().manual_seed(3), labels)
    assert torch.equal(module.decode(drawn), images)
    rows = module.decode(drawn[1::2])  # a process's own rows have their own labels
    torch.testing.assert_close(rows, images[1::2])


@pytest.mark.parametrize("module", [GAN(IMAGE_SHAPE, **SMALL), VAE(IMAGE_SHAPE, **SMALL_VAE)])
def test_an_interpolation_leads_from_one_class_to_another(module):
    one, two = torch.tensor([1]), torch.tensor([2])
    strip = module.interpolation(5, seed=3, labels=torch.tensor([1, 2]))
    vector = module.draw_latent(2, torch.Generator().manual_seed(3)).vectors[:1]
    ends = [module.decode(Latents(vector, label)) for label in (one, two)]
    torch.testing.assert_close(strip[[0, -1]], torch.cat(ends), atol=1e-5, rtol=0)
    half = Latents(vector, torch.tensor([[0.0, 0.5, 0.5]]))
    torch.testing.assert_close(strip[2:3], module.decode(half), atol=1e-5, rtol=0)
    within = module.interpolation(5, seed=3, labels=torch.tensor([1, 1]))  # between two vectors
    vectors = module.draw_latent(2, torch.Generator().manual_seed(3)).vectors
    torch.testing.assert_close(within[[0, -1]], module.decode(Latents(vectors, one.expand(2))), atol=1e-5, rtol=0)
    assert len(module.interpolation(5, seed=3)) == 5


def test_classes_are_drawn_as_often_as_the_data_has_them():
    module = GAN(IMAGE_SHAPE, **SMALL | {"class_names": [str(k) for k in range(10)]})
    train(module, Digits(batch_size=64, classes=None), max_steps=1, limit_val_batches=0)
    data = module.trainer.datamodule
    torch.testing.assert_close(module.class_shares, data.train_labels.bincount() / len(data.train_labels))
    module.class_shares.copy_(torch.tensor([0.7, 0.3, *[0.0] * 8]))
    labels = module.draw_latent(4000, torch.Generator().manual_seed(0)).labels
    assert labels.max() == 1
    assert labels.float().mean().item() == pytest.approx(0.3, abs=0.03)


def test_an_unconditional_model_knows_nothing_of_classes():
    module = GAN(IMAGE_SHAPE, **SMALL | {"conditional": False})
    assert module.hparams["class_names"] is None
    assert not any("class" in name for name in module.state_dict())
    assert module.draw_latent(3, torch.Generator().manual_seed(0)).labels is None
    assert GAN(IMAGE_SHAPE, **SMALL).hparams["class_names"] == NAMES


@pytest.mark.parametrize("names", [None, [], ["cats"]])
@pytest.mark.parametrize(("family", "options"), [(GAN, SMALL), (VAE, SMALL_VAE)])
def test_data_without_labels_is_refused(family, options, names):
    found = "of one class, cats" if names else "it has no classes"
    with pytest.raises(UserError, match=f"model.conditional is true, but the data has no labels .*{found}"):
        family(IMAGE_SHAPE, **options | {"class_names": names})


def test_a_checkpoint_of_a_conditional_model_is_enough_to_sample_from(tmp_path):
    module = GAN(IMAGE_SHAPE, **SMALL)
    train(module).save_checkpoint(tmp_path / "last.ckpt")
    loaded = GAN.load_from_checkpoint(tmp_path / "last.ckpt", weights_only=True)
    assert loaded.class_names == NAMES
    assert torch.equal(loaded.sample(4, seed=1), module.sample(4, seed=1))


def test_images_to_predict_without_classes_are_refused():
    class Data:
        predict_path = "somewhere"

    module = GAN(IMAGE_SHAPE, **SMALL)
    module.trainer = Trainer(logger=False, enable_checkpointing=False, accelerator="cpu")
    module.trainer.datamodule = Data()
    with pytest.raises(UserError, match="is conditional and needs the class of each image"):
        module.on_predict_start()


def test_a_last_batch_of_one_image_is_found_in_conditional_networks(tmp_path):
    module = GAN(IMAGE_SHAPE, **SMALL | {"generator": functools.partial(MLPGenerator, hidden_dims=(8, 8))})
    module.class_names = NAMES
    data = Digits(batch_size=16, classes=[0, 1, 2])
    data.setup("fit")
    data.train_images, data.train_labels = data.train_images[:17], data.train_labels[:17]
    with pytest.raises(
        UserError, match=r"the last training batch of an epoch holds one image, but BatchNorm in model.g"
    ):
        train(module, data)


def test_the_bound_decodes_each_vector_with_the_class_of_its_image():
    """The mean over many latent vectors is that of one image at a time, whose labels cannot be mixed up."""
    module = VAE(IMAGE_SHAPE, **SMALL_VAE)
    images, labels = (part[:3] for part in batches(1).tensors)
    torch.nn.init.normal_(next(module.decoder.parameters()), std=3.0)
    noise = torch.randn(5, 3, 4)
    module.draw_noise = lambda count, generator: noise.flatten(0, 1)
    together = module.importance_weighted_bound(images, 5, torch.Generator(), labels)
    for k in range(3):
        module.draw_noise = lambda count, generator, k=k: noise[:, k]
        alone = module.importance_weighted_bound(images[k, None], 5, torch.Generator(), labels[k, None])
        torch.testing.assert_close(together[k, None], alone)
    assert labels.unique().numel() == 3


def test_the_vector_of_a_class_is_short_beside_a_gans_latent_vector_and_as_long_as_a_vaes():
    """So that the generator keeps looking at the latent vector, and the decoder looks at the class."""
    torch.manual_seed(0)
    gan = GAN(IMAGE_SHAPE, **SMALL | {"latent_dim": 64}).generator
    vae = VAE(IMAGE_SHAPE, **SMALL_VAE | {"latent_dim": 64}).decoder
    lengths = [network.class_embedding.weight.norm(dim=1).mean().item() for network in (gan, vae)]
    assert lengths == pytest.approx([1, 8], rel=0.2)
