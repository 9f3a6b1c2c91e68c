import functools
import math

import pytest
import torch
from pytorch_lightning import Callback, Trainer

from datamodules.tensor_dataset import TensorLoader
from lightning_models.losses.likelihoods import Bernoulli, BinarizedBernoulli, Gaussian
from lightning_models.networks import DCGANDiscriminator, DCGANGenerator, MLPDiscriminator, MLPGenerator
from lightning_models.vae import VAE

pytestmark = pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no `val_dataloader`")

IMAGE_SHAPE = (1, 8, 8)
SMALL = {
    "latent_dim": 4,
    "encoder": functools.partial(MLPDiscriminator, hidden_dims=[32]),
    "decoder": functools.partial(MLPGenerator, hidden_dims=[32], batch_norm=False, output="none"),
}


def batches(count, batch_size=16):
    images = torch.rand(count * batch_size, *IMAGE_SHAPE, generator=torch.Generator().manual_seed(99))
    return TensorLoader((images, torch.zeros(len(images))), batch_size)


def trainer(**options):
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    return Trainer(accelerator="cpu", enable_checkpointing=False, **quiet, **options)


class Recorder(Callback):
    """Logged metrics after each batch."""

    def __init__(self):
        self.metrics = []

    def on_train_batch_end(self, trainer, pl_module, *args):
        self.metrics.append({name: float(value) for name, value in trainer.callback_metrics.items()})


def train(module, count=1, **options):
    recorder = Recorder()
    torch.manual_seed(0)
    trainer(callbacks=[recorder], **{"log_every_n_steps": 1, "max_epochs": 1, **options}).fit(module, batches(count))
    return recorder.metrics


# ----------------------------------------------------------------------------------------------------------- training


@pytest.mark.parametrize("likelihood", [Bernoulli, BinarizedBernoulli, functools.partial(Gaussian, learned=True)])
def test_every_parameter_moves(likelihood):
    module = VAE(IMAGE_SHAPE, **SMALL, likelihood=likelihood)
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    train(module)
    assert [name for name, p in module.named_parameters() if torch.equal(before[name], p)] == []


def test_loss_is_reconstruction_plus_beta_times_kl_and_logged_on_written_batches_only():
    for beta in (0.0, 1.0, 4.0):
        metrics = train(VAE(IMAGE_SHAPE, **SMALL, beta=beta), count=4, log_every_n_steps=2)
        assert metrics[0] == {}
        assert set(metrics[1]) == {
            f"train/{name}" for name in ("loss", "reconstruction", "kl", "kl_weight", "learning_rate")
        }
        loss, terms = metrics[1]["train/loss"], (metrics[1]["train/reconstruction"], metrics[1]["train/kl"])
        assert loss == pytest.approx(terms[0] + beta * terms[1], rel=1e-5)
        assert terms[1] > 0


@pytest.mark.parametrize(
    ("options", "weights"),
    [
        ({"kl_warmup_batches": 4}, [0.0, 0.5, 1.0, 1.5, 2.0, 2.0]),
        ({"kl_warmup_epochs": 1}, [0.0, 2 / 3, 4 / 3, 2.0, 2.0, 2.0]),
        ({"kl_warmup_epochs": 2}, [0.0, 1 / 3, 2 / 3, 1.0, 4 / 3, 5 / 3]),
        ({}, [2.0] * 6),
    ],
)
def test_warm_up_raises_the_weight_of_the_kl_from_0_to_beta(options, weights):
    metrics = train(VAE(IMAGE_SHAPE, **SMALL, beta=2.0, **options), count=3, max_epochs=2)
    assert [batch["train/kl_weight"] for batch in metrics] == pytest.approx(weights)
    for batch in metrics:
        loss = batch["train/reconstruction"] + batch["train/kl_weight"] * batch["train/kl"]
        assert batch["train/loss"] == pytest.approx(loss, rel=1e-5)


def test_the_warm_up_counts_batches_also_where_several_make_a_step():
    options = {"log_every_n_steps": 1, "accumulate_grad_batches": 3, "max_epochs": 2}
    module = VAE(IMAGE_SHAPE, **SMALL, kl_warmup_batches=4)
    warmed_up, seen = module.warmed_up, []
    module.warmed_up = lambda batch_idx: seen.append(warmed_up(batch_idx)) or seen[-1]
    train(module, count=4, **options)  # 2 steps an epoch: of 3 batches and of 1
    assert seen == [0.0, 0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0]


def test_free_bits_charge_each_variable_at_least_so_much_and_do_not_change_what_is_logged():
    def first_batch(free_bits):
        torch.manual_seed(0)
        return train(VAE(IMAGE_SHAPE, **SMALL, free_bits=free_bits))[0]

    free, charged = first_batch(0.0), first_batch(3.0)
    assert charged["train/kl"] == pytest.approx(free["train/kl"])
    assert 0 < free["train/kl"] < 3.0  # so every variable is below its 3 nats
    assert charged["train/loss"] == pytest.approx(free["train/reconstruction"] + 4 * 3.0, rel=1e-5)


def test_below_the_free_bits_the_encoder_hears_of_the_reconstruction_only():
    def gradient(**options):
        module = VAE(IMAGE_SHAPE, **SMALL, **options, optimizer=functools.partial(torch.optim.SGD, lr=1.0))
        before = module.encoder.layers[1].weight.detach().clone()
        torch.manual_seed(1)
        train(module)
        return module.encoder.layers[1].weight.detach() - before

    torch.manual_seed(0)
    without_kl = gradient(beta=0.0)
    torch.manual_seed(0)
    assert torch.allclose(gradient(free_bits=3.0), without_kl)
    torch.manual_seed(0)
    assert not torch.allclose(gradient(), without_kl)


@pytest.mark.parametrize("likelihood", [Bernoulli, BinarizedBernoulli, Gaussian])
def test_bfloat16_trains_with_losses_in_float32(likelihood):
    networks = {
        "encoder": functools.partial(DCGANDiscriminator, width=8),
        "decoder": functools.partial(DCGANGenerator, width=8, output="none"),
    }
    module = VAE(IMAGE_SHAPE, likelihood=likelihood, **networks)
    losses = []
    original = module.training_step
    module.training_step = lambda *args: losses.append(original(*args)) or losses[-1]
    train(module, count=3, precision="bf16-mixed")
    assert [loss.dtype for loss in losses] == [torch.float32] * 3
    assert all(math.isfinite(loss.item()) for loss in losses)
    assert {p.dtype for p in module.parameters()} == {torch.float32}


def test_it_learns_digits():
    from sklearn.datasets import load_digits

    digits = torch.tensor(load_digits().images / 16, dtype=torch.float32).unsqueeze(1)
    labels = torch.zeros(len(digits))
    torch.manual_seed(0)
    module = VAE(IMAGE_SHAPE, **SMALL, optimizer=functools.partial(torch.optim.Adam, lr=3e-3))
    trainer(max_epochs=20).fit(module, TensorLoader((digits[:1500], labels[:1500]), 50, shuffle=True))
    (metrics,) = trainer().validate(module, TensorLoader((digits[1500:], labels[1500:]), 100), verbose=False)
    mean_image = digits[:1500].mean(dim=0, keepdim=True).clamp(1e-3, 1 - 1e-3)
    without_latent = Bernoulli().log_likelihood(torch.logit(mean_image).expand(297, -1, -1, -1), digits[1500:]).mean()
    assert metrics["val/elbo"] > without_latent + 1  # nats: no model that ignores its latent variables gets there
    assert metrics["val/active_units"] == 4


# --------------------------------------------------------------------------------------------------------- evaluation


@pytest.mark.parametrize("likelihood", [Bernoulli, BinarizedBernoulli])
def test_evaluation_repeats_exactly_and_weighs_every_image_alike(likelihood):
    module = VAE(IMAGE_SHAPE, **SMALL, likelihood=likelihood, beta=3.0)
    images = batches(1, batch_size=5).tensors[0]
    loader = TensorLoader((images, torch.zeros(5)), batch_size=4)  # batches of 4 and of 1
    (metrics,) = trainer().validate(module, loader, verbose=False)
    torch.manual_seed(7)
    (again,) = trainer().validate(module, loader, verbose=False)
    assert metrics == again
    assert set(metrics) == {f"val/{name}" for name in ("loss", "elbo", "reconstruction", "kl", "active_units")}

    columns = trainer().predict(module, loader)
    elbo, reconstruction, kl = (torch.cat([c[n] for c in columns]) for n in ("elbo", "reconstruction", "kl"))
    assert torch.allclose(elbo, -(reconstruction + kl))
    assert metrics["val/elbo"] == pytest.approx(elbo.mean().item(), rel=1e-5)
    assert metrics["val/kl"] == pytest.approx(kl.mean().item(), rel=1e-5)
    assert metrics["val/loss"] == pytest.approx((reconstruction + 3 * kl).mean().item(), rel=1e-5)
    assert (elbo < 0).all()


def test_the_best_checkpoint_has_the_highest_elbo():
    assert VAE.monitor == "val/elbo"


def test_decoded_images_are_the_means_of_the_likelihood_from_a_decoder_in_evaluation_mode():
    module = VAE(IMAGE_SHAPE, latent_dim=3, decoder=functools.partial(DCGANGenerator, width=8, output="none")).train()
    latent = torch.randn(300, 3)  # decoded in batches of 256
    decoded = module.decode(latent)
    with torch.no_grad():
        torch.testing.assert_close(decoded, module.decoder.eval()(latent).sigmoid())


@pytest.mark.parametrize("samples", [0, 7])
def test_the_bound_has_as_many_samples_as_its_option(samples):
    module, seen = VAE(IMAGE_SHAPE, **SMALL, importance_samples=samples), []
    module.log = lambda *args, **options: None
    module.importance_weighted_bound = lambda images, count, noise, labels: (
        seen.append(count) or torch.zeros(len(images))
    )
    images = torch.rand(3, *IMAGE_SHAPE)
    module.validation_step((images, None), 0)
    assert seen == []
    module.test_step((images, None), 0)
    assert seen == [samples][: bool(samples)]


def test_posteriors_come_from_an_encoder_in_evaluation_mode():
    module = VAE(IMAGE_SHAPE, latent_dim=3, encoder=functools.partial(DCGANDiscriminator, width=8, stages=2)).train()
    images = torch.rand(6, *IMAGE_SHAPE)
    mean, log_variance = module.posterior(images)
    assert module.encoder.training
    with torch.no_grad():
        expected = module.encoder.eval()(images)
    torch.testing.assert_close(torch.cat([mean, log_variance], dim=1), expected)
    assert not mean.requires_grad


def test_test_adds_the_importance_weighted_bound():
    module = VAE(IMAGE_SHAPE, **SMALL, likelihood=BinarizedBernoulli(), importance_samples=20)
    (metrics,) = trainer().test(module, batches(2), verbose=False)
    assert 0 > metrics["test/importance_weighted_bound"] >= metrics["test/elbo"]
    module.importance_samples = 0
    (metrics,) = trainer().test(module, batches(1), verbose=False)
    assert "test/importance_weighted_bound" not in metrics


# --------------------------------------------------------------------------------------------------------- generation


def test_sampling_and_interpolating_repeat_with_the_seed_and_leave_the_training_alone():
    module = VAE(IMAGE_SHAPE, latent_dim=3, decoder=functools.partial(DCGANGenerator, width=8, output="none")).train()
    state = torch.get_rng_state()
    assert torch.equal(module.sample(5, seed=3), module.sample(5, seed=3))
    assert not torch.equal(module.sample(5, seed=3), module.sample(5, seed=4))
    strip = module.interpolation(9, seed=3)
    assert strip.shape == (9, *IMAGE_SHAPE)
    assert torch.allclose(strip[[0, -1]], module.sample(2, seed=3), atol=1e-6)
    assert strip.min() >= 0
    assert strip.max() <= 1
    assert torch.equal(state, torch.get_rng_state())
    assert module.decoder.training


def test_pictures_of_any_value_range_are_in_0_to_1():
    module = VAE(IMAGE_SHAPE, (-1.0, 1.0), **SMALL, likelihood=Gaussian())
    assert torch.equal(module.in_unit_range(torch.tensor([-1.5, -1.0, 0.0, 1.0])), torch.tensor([0, 0, 0.5, 1.0]))
    assert module.sample(4, seed=0).min() >= 0


@pytest.mark.parametrize("likelihood", [BinarizedBernoulli, Gaussian(0.5, learned=True)])
def test_a_checkpoint_is_plain_and_enough_to_sample_from(tmp_path, likelihood):
    module = VAE(IMAGE_SHAPE, **SMALL, likelihood=likelihood)
    learner = trainer(max_epochs=1)
    learner.fit(module, batches(2))
    learner.save_checkpoint(tmp_path / "last.ckpt")
    checkpoint = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert checkpoint["model_class"] == "lightning_models.vae.VAE"
    loaded = VAE.load_from_checkpoint(tmp_path / "last.ckpt", weights_only=True)
    assert torch.equal(loaded.sample(4, seed=1), module.sample(4, seed=1))
    assert loaded.hparams == module.hparams
    assert type(loaded.likelihood) is type(module.likelihood)
    weights = module.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in loaded.state_dict().items())


# ---------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"latent_dim": 0}, "model.latent_dim is 0: expected at least 1"),
        ({"beta": -1.0}, "model.beta is -1.0: expected at least 0"),
        ({"free_bits": -0.1}, "model.free_bits is -0.1"),
        ({"importance_samples": -1}, "model.importance_samples is -1"),
        (
            {"kl_warmup_batches": 5, "kl_warmup_epochs": 2},
            "kl_warmup_batches is 5 and model.kl_warmup_epochs is 2: set",
        ),
        ({"value_range": (-1.0, 1.0)}, r"takes pixels in \[0.0, 1.0\] but the data's are in \[-1.0, 1.0\]: set data"),
        ({"decoder": MLPGenerator}, r"takes logits but the decoder returns values in \[-1.0, 1.0\]: set model.decoder"),
    ],
)
def test_options_out_of_range_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        VAE(IMAGE_SHAPE, **{**SMALL, **options})


def test_images_of_another_size_are_named():
    with pytest.raises(ValueError, match=r"images are 1 x 9 x 9, but this VAE was built for 1 x 8 x 8"):
        VAE(IMAGE_SHAPE, **SMALL).encode(torch.rand(2, 1, 9, 9))
