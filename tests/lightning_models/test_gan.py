import copy
import functools
import math
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.plugins.precision import MixedPrecision

from lightning_models.gan import GAN
from lightning_models.gan_variants import LSGAN, WGAN, WGANGP
from lightning_models.losses.objectives import RelativisticPairing, Wasserstein
from lightning_models.losses.regularizers import R1, R2, GradientPenalty, WeightClipping
from tests.small_gans import IMAGE_SHAPE, SMALL, batches, train

pytestmark = [
    pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no `val_dataloader`"),
    # What it warns of, weights after the update, is what is wanted.
    pytest.mark.filterwarnings("ignore:Using ModelCheckpoint with manual optimization and every_n_train_steps"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty"),
]


@pytest.mark.parametrize("variant", [GAN, LSGAN])
def test_both_networks_move_in_every_parameter(variant):
    recorder, _ = train(variant(IMAGE_SHAPE, **SMALL))
    assert recorder.moved(1, "generator.") == recorder.all_of("generator.")
    assert recorder.moved(1, "discriminator.") == recorder.all_of("discriminator.")


@pytest.mark.parametrize("variant", [WGAN, WGANGP])
def test_a_critic_moves_five_times_before_the_generator_does(variant):
    recorder, _ = train(variant(IMAGE_SHAPE, **SMALL), count=5)
    for batch in (1, 2, 3, 4):
        assert recorder.moved(batch, "generator.") == set()
        assert recorder.moved(batch, "discriminator.")
    assert recorder.moved(5, "generator.") == recorder.all_of("generator.")


def test_only_the_last_bias_of_a_wasserstein_critic_stays():
    sgd = functools.partial(torch.optim.SGD, lr=0.1)
    module = GAN(IMAGE_SHAPE, **SMALL, objective=Wasserstein(), optimizer_d=sgd, optimizer_g=sgd)
    recorder, _ = train(module)
    (still,) = recorder.all_of("discriminator.") - recorder.moved(1, "discriminator.")
    last_layer = list(dict(module.discriminator.named_parameters()))[-1]
    assert still == f"discriminator.{last_layer}"  # a constant added to the critic cancels out of its loss
    assert still.endswith("bias")


def test_the_discriminator_requires_gradients_again_after_the_generators_update():
    module = GAN(IMAGE_SHAPE, **SMALL)
    train(module)
    assert all(p.requires_grad for p in module.discriminator.parameters())


@pytest.mark.parametrize("n_critic", [1, 3])
def test_global_step_counts_batches(tmp_path, n_critic):
    checkpoint = ModelCheckpoint(tmp_path, filename="{step}", every_n_train_steps=5, save_top_k=-1)
    recorder, trainer = train(GAN(IMAGE_SHAPE, **SMALL, n_critic=n_critic), 12, tmp_path, [checkpoint], max_steps=10)
    assert recorder.steps == list(range(11))
    assert trainer.global_step == 10
    assert sorted(p.name for p in tmp_path.glob("*.ckpt")) == ["step=10.ckpt", "step=5.ckpt"]


def test_what_is_logged():
    module = WGANGP(IMAGE_SHAPE, **SMALL, n_critic=2)
    recorder, _ = train(module, count=4, log_every_n_steps=2)
    assert recorder.metrics[1] == {}  # nothing is logged on batches that are not written
    assert set(recorder.metrics[2]) == {
        f"train/{name}"
        for name in (
            *("d_loss", "g_loss", "d_accuracy_real", "d_accuracy_fake", "d_real", "d_fake", "penalty"),
            *("d_gradient_norm", "g_gradient_norm"),
        )
    }
    assert all(math.isfinite(value) for value in recorder.metrics[4].values())


def test_the_generators_metrics_are_written_although_it_is_not_due_on_that_batch():
    recorder, _ = train(GAN(IMAGE_SHAPE, **SMALL, n_critic=3), count=4, log_every_n_steps=4)
    assert "train/g_gradient_norm" in recorder.metrics[4]


def test_gradient_clipping_bounds_the_step_and_leaves_the_reported_norm():
    sgd = functools.partial(torch.optim.SGD, lr=1.0)
    module = GAN(IMAGE_SHAPE, **SMALL, gradient_clip_norm=1e-3, optimizer_d=sgd, optimizer_g=sgd)
    recorder, _ = train(module)
    before, after = recorder.weights[0], recorder.weights[1]
    for network in ("generator.", "discriminator."):
        moved = torch.stack([(after[n] - before[n]).norm() for n in recorder.all_of(network)]).norm()
        assert moved.item() == pytest.approx(1e-3, rel=1e-3)
    assert recorder.metrics[1]["train/d_gradient_norm"] > 1e-2


def test_float16_scales_the_loss_but_neither_norms_nor_clipping():
    sgd = functools.partial(torch.optim.SGD, lr=1.0)

    def run(**options):
        torch.manual_seed(1)
        module = GAN(IMAGE_SHAPE, **SMALL, gradient_clip_norm=1e-3, optimizer_d=sgd, optimizer_g=sgd)
        return train(module, **options)[0]

    exact = run()
    scaled = run(plugins=[MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu"))])
    for name in ("train/d_gradient_norm", "train/g_gradient_norm"):
        assert scaled.metrics[1][name] == pytest.approx(exact.metrics[1][name], rel=0.05)
    before, after = scaled.weights[0], scaled.weights[1]
    moved = torch.stack([(after[n] - before[n]).norm() for n in scaled.all_of("discriminator.")]).norm()
    assert moved.item() == pytest.approx(1e-3, rel=1e-2)


@pytest.mark.parametrize("variant", [GAN, WGAN, WGANGP])
def test_bfloat16_trains(variant):
    recorder, _ = train(variant(IMAGE_SHAPE, **SMALL, n_critic=1), count=3, precision="bf16-mixed")
    assert all(math.isfinite(value) for value in recorder.metrics[3].values())
    assert {weight.dtype for weight in recorder.weights[3].values()} == {torch.float32}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf Tensor")  # torch.compile's own
@pytest.mark.parametrize("regularizer", [None, GradientPenalty()])
def test_compiled_networks_learn_the_same(regularizer):
    def run(compile_networks):
        torch.manual_seed(1)
        module = GAN(IMAGE_SHAPE, **SMALL, regularizer=regularizer, compile_networks=compile_networks)
        recorder, _ = train(module, count=3)
        return module, recorder.metrics[3]

    (_, eager), (module, compiled) = run(False), run(True)
    assert compiled == pytest.approx(eager, rel=1e-3, abs=1e-4)
    assert not any("_orig_mod" in name for name in module.state_dict())


def test_one_batch_is_the_algorithm_written_out():
    """Other optimizers and a penalty that tells real from fake images: whatever is exchanged or left out shows."""
    d_sgd, g_sgd = (functools.partial(torch.optim.SGD, lr=lr) for lr in (0.1, 0.3))
    module = GAN(IMAGE_SHAPE, **SMALL, regularizer=R1(weight=3.0), optimizer_d=d_sgd, optimizer_g=g_sgd)
    generator, discriminator, latents = copy.deepcopy(module.generator), copy.deepcopy(module.discriminator), []
    module.generator.register_forward_pre_hook(lambda _, args: latents.append(args[0]))
    recorder, _ = train(module)
    (latent,), real = latents, batches(1).tensors[0]

    fake = generator(latent)
    images = real.clone().requires_grad_()
    (slopes,) = torch.autograd.grad(discriminator(images).sum(), images, create_graph=True)
    penalty = 1.5 * slopes.square().sum(dim=(1, 2, 3)).mean()
    d_loss = F.softplus(-discriminator(real)).mean() + F.softplus(discriminator(fake.detach())).mean()
    d_optimizer, g_optimizer = d_sgd(discriminator.parameters()), g_sgd(generator.parameters())
    (d_loss + penalty).backward()
    d_optimizer.step()
    g_loss = F.softplus(-discriminator(fake)).mean()  # by the discriminator that has just learned
    g_loss.backward()
    g_optimizer.step()
    for name, network in (("generator", generator), ("discriminator", discriminator)):
        for own, expected in zip(getattr(module, name).parameters(), network.parameters(), strict=True):
            torch.testing.assert_close(own, expected)
    logged = {"d_loss": d_loss, "g_loss": g_loss, "penalty": penalty}
    found = {name: recorder.metrics[1][f"train/{name}"] for name in logged}
    assert found == pytest.approx({name: value.item() for name, value in logged.items()}, rel=1e-4)


def test_a_batch_of_relativistic_pairs_with_r1_and_r2_is_the_algorithm_written_out():
    """G's loss needs D of the real images, by the discriminator that has just learned, although G never sees them."""
    sgd = functools.partial(torch.optim.SGD, lr=0.2)
    penalties = [R1(weight=3.0), R2(weight=5.0)]
    module = GAN(
        IMAGE_SHAPE, **SMALL, objective=RelativisticPairing(), regularizer=penalties, optimizer_d=sgd, optimizer_g=sgd
    )
    generator, discriminator, latents = copy.deepcopy(module.generator), copy.deepcopy(module.discriminator), []
    module.generator.register_forward_pre_hook(lambda _, args: latents.append(args[0]))
    recorder, _ = train(module)
    (latent,), real = latents, batches(1).tensors[0]

    fake = generator(latent)
    d_loss, images = 0.0, {}
    for name, of, weight in (("real", real, 3.0), ("fake", fake, 5.0)):
        images[name] = of.detach().clone().requires_grad_()
        (slopes,) = torch.autograd.grad(discriminator(images[name]).sum(), images[name], create_graph=True)
        d_loss = d_loss + weight / 2 * slopes.square().sum(dim=(1, 2, 3)).mean()
    d_loss = d_loss + F.softplus(discriminator(fake.detach()) - discriminator(real)).mean()
    d_optimizer, g_optimizer = sgd(discriminator.parameters()), sgd(generator.parameters())
    d_loss.backward()
    d_optimizer.step()
    F.softplus(discriminator(real).detach() - discriminator(fake)).mean().backward()
    g_optimizer.step()
    for name, network in (("generator", generator), ("discriminator", discriminator)):
        for own, expected in zip(getattr(module, name).parameters(), network.parameters(), strict=True):
            torch.testing.assert_close(own, expected)
    found = {name.removeprefix("train/"): value for name, value in recorder.metrics[1].items()}
    assert found["penalty"] == pytest.approx(found["penalty_r1"] + found["penalty_r2"])


def test_the_critics_weights_are_clipped_after_each_update():
    module = WGAN(IMAGE_SHAPE, **SMALL, regularizer=WeightClipping(0.005))
    train(module, count=2)
    largest = torch.stack([parameter.abs().max() for parameter in module.discriminator.parameters()])
    assert largest.max().item() == pytest.approx(0.005)


@pytest.mark.parametrize(
    ("options", "generated"),
    [({}, [True]), ({"n_critic": 2}, [False, True]), ({"fresh_noise": True}, [False, True])],
)
def test_gradients_are_computed_for_the_network_alone_that_is_updated(options, generated):
    module = GAN(IMAGE_SHAPE, **SMALL, **options)
    fakes, critics = [], []
    weight = next(module.discriminator.parameters())
    module.generator.register_forward_hook(lambda _, args, images: fakes.append(images.requires_grad))
    module.discriminator.register_forward_pre_hook(lambda *_: critics.append(weight.requires_grad))
    train(module, count=options.get("n_critic", 1))
    assert fakes == generated
    assert critics[:2] == [True, True]  # its own update: real, then fake
    assert critics[-1] is False  # the generator's


def test_the_strategy_is_set_up_for_backward_passes_that_reach_one_network_only(monkeypatch):
    strategies = []
    monkeypatch.setattr("lightning_models.gan.find_unused_parameters", strategies.append)
    module = GAN(IMAGE_SHAPE, **SMALL)
    module.trainer = SimpleNamespace(strategy="of the run")
    module.setup("fit")
    assert strategies == ["of the run"]


@pytest.mark.parametrize(
    ("stage", "compile_networks", "count"), [("fit", True, 2), ("fit", False, 0), ("test", True, 0)]
)
def test_networks_are_compiled_for_training_where_asked(monkeypatch, stage, compile_networks, count):
    compiled = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: compiled.append(self))
    module = GAN(IMAGE_SHAPE, **SMALL, compile_networks=compile_networks)
    module.trainer = SimpleNamespace(strategy=None)
    module.setup(stage)
    assert compiled == [module.generator, module.discriminator][:count]
