import copy
import functools
import math
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.plugins.precision import MixedPrecision

from datamodules.tensor_dataset import TensorLoader
from lightning_models.callbacks.random_state import RandomState
from lightning_models.gan import GAN
from lightning_models.gan_variants import LSGAN, WGAN, WGANGP
from lightning_models.losses.objectives import LeastSquares, NonSaturating, RelativisticPairing, Wasserstein
from lightning_models.losses.regularizers import R1, R2, GradientPenalty, WeightClipping
from lightning_models.modules.augmentation import Augmentation, DiffAugment
from lightning_models.modules.schedules import Cosine, Linear
from lightning_models.networks import DCGANDiscriminator, DCGANGenerator, MLPDiscriminator, MLPGenerator

pytestmark = [
    pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no `val_dataloader`"),
    # What it warns of, weights after the update, is what is wanted.
    pytest.mark.filterwarnings("ignore:Using ModelCheckpoint with manual optimization and every_n_train_steps"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty"),
]

IMAGE_SHAPE = (1, 8, 8)
SMALL = {
    "latent_dim": 4,
    "generator": functools.partial(DCGANGenerator, width=8),
    "discriminator": functools.partial(DCGANDiscriminator, width=8, normalization="none"),
}


def batches(count, batch_size=16):
    images = torch.rand(count * batch_size, *IMAGE_SHAPE, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return TensorLoader((images, torch.zeros(len(images))), batch_size)


class Recorder(Callback):
    """Weights and logged metrics after each batch."""

    def __init__(self):
        self.weights, self.metrics, self.steps = [], [], []

    def on_train_start(self, trainer, pl_module):
        self.on_train_batch_end(trainer, pl_module)

    def on_train_batch_end(self, trainer, pl_module, *args):
        self.weights.append({name: p.detach().clone() for name, p in pl_module.named_parameters()})
        self.metrics.append({name: float(value) for name, value in trainer.callback_metrics.items()})
        self.steps.append(trainer.global_step)

    def moved(self, batch, network):
        before, after = self.weights[batch - 1], self.weights[batch]
        return {name for name in after if name.startswith(network) and not torch.equal(before[name], after[name])}

    def all_of(self, network):
        return {name for name in self.weights[0] if name.startswith(network)}


def train(module, count=1, tmp_path=None, callbacks=(), loader=None, **options):
    recorder = Recorder()
    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=any(isinstance(c, ModelCheckpoint) for c in callbacks),
        default_root_dir=tmp_path,
        callbacks=[recorder, *callbacks],
        **{"log_every_n_steps": 1, "max_epochs": 1, **options},
    )
    torch.manual_seed(0)
    trainer.fit(module, loader or batches(count))
    return recorder, trainer


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


def test_a_list_of_regularizers_is_stored_as_plain_values_and_one_alone_as_before():
    several = GAN(IMAGE_SHAPE, **SMALL, regularizer=[R1(weight=3.0, every=16), R2()])
    assert [part["init_args"] for part in several.hparams["regularizer"]] == [
        {"weight": 3.0, "every": 16},
        {"weight": 10.0, "every": 1},
    ]
    again = GAN(IMAGE_SHAPE, **{**SMALL, "regularizer": several.hparams["regularizer"]})
    assert [(type(part), part.every) for part in again.regularizers.parts] == [(R1, 16), (R2, 1)]
    assert GAN(IMAGE_SHAPE, **SMALL, regularizer=R1()).hparams["regularizer"]["init_args"]["weight"] == 10.0


def test_schedules_set_every_number_that_papers_decay_and_log_it():
    module = GAN(
        IMAGE_SHAPE,
        **SMALL,
        regularizer=R1(weight=4.0),
        ema_decay=0.6,
        schedule=Linear(final=0.5, final_beta2=0.9),
        penalty_schedule=Linear(final=0.0),
        ema_schedule=Linear(final=0.1),
        optimizer_d=functools.partial(torch.optim.Adam, lr=0.4, betas=(0.0, 0.5)),
        optimizer_g=functools.partial(torch.optim.Adam, lr=0.2, betas=(0.0, 0.8)),
    )
    decays, penalties = [], []
    module.generator_ema.update = lambda network, decay: decays.append(decay)
    part = module.regularizers.parts[0]
    part.penalty = lambda critic, real, fake: (
        penalties.append(type(part).penalty(part, critic, real, fake)) or penalties[-1]
    )
    recorder, _ = train(module, count=4)
    for batch, progress in enumerate((0.0, 0.25, 0.5, 0.75), start=1):
        logged = {name.removeprefix("train/"): value for name, value in recorder.metrics[batch].items()}
        expected = {
            "learning_rate_d": 0.4 * (1 - progress / 2),
            "learning_rate_g": 0.2 * (1 - progress / 2),
            "beta2_d": 0.5 + 0.4 * progress,
            "beta2_g": 0.8 + 0.1 * progress,
            "penalty_factor": 1 - progress,
            "ema_factor": 1 - 0.9 * progress,
            "penalty": (1 - progress) * penalties[batch - 1].item(),
        }
        assert {name: logged[name] for name in expected} == pytest.approx(expected, abs=1e-6)
    assert decays == pytest.approx([2 / 11, 3 / 12, 1 - 0.4 / 0.55, 0.0])  # the first two by the short memory at first


def test_without_an_end_of_the_training_a_schedule_is_refused():
    with pytest.raises(ValueError, match=r"a schedule needs the length of the training: set trainer.max_epochs"):
        train(GAN(IMAGE_SHAPE, **SMALL, ema_schedule=Linear()), max_epochs=-1, max_time={"seconds": 1})


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


def test_fresh_noise_gives_the_generator_other_images_than_the_discriminator_saw():
    def fakes(fresh_noise):
        module = GAN(IMAGE_SHAPE, **SMALL, fresh_noise=fresh_noise)
        seen = []
        module.discriminator.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach().clone()))
        train(module)
        _, of_d, of_g = seen
        return of_d, of_g

    assert torch.equal(*fakes(fresh_noise=False))
    assert not torch.equal(*fakes(fresh_noise=True))


def test_noise_on_the_discriminators_inputs_decays_to_nothing():
    module = GAN(IMAGE_SHAPE, **SMALL, input_noise=0.5, input_noise_batches=2)
    data = batches(4, batch_size=256)
    seen = []
    module.discriminator.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
    train(module, loader=data)
    expected = [0.5, 0.25, 0.0, 0.0]
    stds = [(seen[3 * number] - real).std().item() for number, (real, _) in enumerate(data)]
    assert stds == pytest.approx(expected, abs=0.01)
    # The same fakes, in the updates of D and of G, with noise that is drawn for each.
    between = [(seen[3 * number + 1] - seen[3 * number + 2]).std().item() for number in range(4)]
    assert between == pytest.approx([std * 2**0.5 for std in expected], abs=0.01)


class Doubled(Augmentation):
    """Twice the image, and one more at each call."""

    calls = 0

    def forward(self, images):
        self.calls += 1
        return 2 * images + self.calls

    def adapt(self, real_decisions, batch):
        self.adapted = (real_decisions, batch)

    def metrics(self):
        return {"augmentation_probability": torch.tensor(0.5)}


@pytest.mark.parametrize("objective", [NonSaturating(), RelativisticPairing()])
def test_augmentation_stands_before_every_look_of_the_discriminator_and_only_in_training(objective):
    module = GAN(IMAGE_SHAPE, **SMALL, augmentation=Doubled, objective=objective, regularizer=[R1(), R2()])
    seen, fakes = [], []
    module.discriminator.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach().clone()))
    module.generator.register_forward_hook(lambda _, args, images: fakes.append(images.detach()))
    recorder, _ = train(module)
    (fake,), real = fakes, batches(1).tensors[0]
    looks = [real, fake, real, fake, real, fake] if objective.compares else [real, fake, real, fake, fake]
    for number, (image, looked) in enumerate(zip(looks, seen, strict=True), start=1):  # D's loss, R1 and R2, G's loss
        torch.testing.assert_close(looked, 2 * image + number)
    decisions, batch = module.augmentation.adapted
    assert batch == 0
    assert set(decisions.flatten().tolist()) <= {-1.0, 1.0}
    assert decisions.mean().item() == pytest.approx(2 * recorder.metrics[1]["train/d_accuracy_real"] - 1)
    assert recorder.metrics[1]["train/augmentation_probability"] == 0.5
    module.eval().log = lambda *args, **options: None
    module.evaluate((real, None), 0, "val")
    assert torch.equal(seen[-2], real)


def test_the_generator_learns_through_the_augmentation():
    torch.manual_seed(1)
    module = GAN(IMAGE_SHAPE, **SMALL, augmentation=functools.partial(DiffAugment, target=0.6))
    recorder, _ = train(module, count=2)
    assert recorder.moved(1, "generator.") == recorder.all_of("generator.")
    assert module.hparams["augmentation"]["init_args"] == {"target": 0.6}
    assert {"augmentation.probability", "augmentation.sums"} <= module.state_dict().keys()


def test_two_processes_put_other_noise_on_images_and_measure_other_fakes(as_process):
    module = GAN(IMAGE_SHAPE, **SMALL, input_noise=0.5).eval()
    module.trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    module.log = lambda *args, **options: None
    seen = []
    module.generator.register_forward_pre_hook(lambda _, args: seen.append(args[0]))

    def see(rank, world_size, count):
        as_process(rank, world_size)
        torch.manual_seed(0)
        images = torch.zeros(count, *IMAGE_SHAPE)
        module.evaluate((images, None), batch_idx=3, prefix="val")
        return module.with_input_noise(images), seen.pop()

    for one, first, second in zip(see(0, 1, 6), see(0, 2, 3), see(1, 2, 3), strict=True):
        assert torch.equal(torch.stack([first, second], dim=1).flatten(0, 1), one)
        assert not torch.equal(first, second)


@pytest.mark.parametrize(
    ("decay", "n_critic", "batches_before", "expected"),
    [
        (0.999, 1, 0, 2 / 11),  # a short memory at first: (1 + k) / (10 + k) after the k-th update of the generator
        (0.999, 1, 1, 3 / 12),
        (0.999, 3, 5, 3 / 12),  # the second update comes with the sixth batch
        (0.25, 1, 1, 0.25),
        (0.1, 1, 0, 0.1),
        (0.9, 1, 80, 82 / 91),
        (0.9, 1, 79, 0.9),
        (0.9, 1, 200, 0.9),
    ],
)
def test_the_memory_of_the_average_is_short_at_first(decay, n_critic, batches_before, expected):
    module = GAN(IMAGE_SHAPE, **SMALL, ema_decay=decay, n_critic=n_critic)
    module.trainer = SimpleNamespace(global_step=batches_before)
    decays = []
    module.generator_ema.update = lambda network, decay: decays.append((network, decay))
    module.update_generator_ema()
    assert decays == [(module.generator, pytest.approx(min(expected, decay)))]


def test_the_average_moves_once_for_each_update_of_the_generator():
    module = GAN(IMAGE_SHAPE, **SMALL, ema_decay=0.9, n_critic=3)
    recorder, _ = train(module, count=6)
    for batch in (1, 2, 4, 5):
        assert recorder.moved(batch, "generator_ema.") == set()
    before, after = recorder.weights[0], recorder.weights[3]
    for name in recorder.all_of("generator."):
        averaged = name.replace("generator.", "generator_ema.average.")
        expected = torch.lerp(before[averaged], after[name], 1 - 2 / 11)
        torch.testing.assert_close(after[averaged], expected)
    assert recorder.moved(6, "generator_ema.")


def test_samples_come_from_the_averaged_generator():
    module = GAN(IMAGE_SHAPE, **SMALL, ema_decay=0.5)
    train(module, count=3)
    latent = torch.randn(2, 4)
    with torch.no_grad():
        averaged, current = module.generator_ema.eval()(latent), module.generator.eval()(latent)
    assert torch.allclose(module.decode(latent), (averaged + 1) / 2)
    assert not torch.allclose(averaged, current)


def test_sampling_and_interpolating_repeat_with_the_seed_and_leave_the_training_alone():
    module = GAN(IMAGE_SHAPE, **SMALL).train()
    state = torch.get_rng_state()
    assert torch.equal(module.sample(5, seed=3), module.sample(5, seed=3))
    assert not torch.equal(module.sample(5, seed=3), module.sample(5, seed=4))
    strip = module.interpolation(9, seed=3)
    assert strip.shape == (9, *IMAGE_SHAPE)
    assert torch.allclose(strip[[0, -1]], module.sample(2, seed=3), atol=1e-6)  # exact end points
    assert strip.min() >= 0
    assert strip.max() <= 1
    assert torch.equal(state, torch.get_rng_state())
    assert module.generator.training


def test_the_ends_of_an_interpolation_have_the_scale_of_training_with_noise_over_its_maximum():
    module = GAN(IMAGE_SHAPE, **SMALL | {"latent_dim": 100}, noise="normal_over_max")
    ends = torch.cat([module.draw_latent(2, torch.Generator().manual_seed(seed)).vectors for seed in range(50)])
    assert ends.std().item() == pytest.approx(0.257, rel=0.05)


ADAM, RMSPROP = torch.optim.Adam, torch.optim.RMSprop
PAPERS = {  # objective, optimizer and its options, n_critic
    GAN: (NonSaturating, ADAM, {"lr": 2e-4, "betas": (0.5, 0.999)}, 1),  # Radford et al. 2016
    LSGAN: (LeastSquares, ADAM, {"lr": 2e-4, "betas": (0.5, 0.999)}, 1),
    WGAN: (Wasserstein, RMSPROP, {"lr": 5e-5}, 5),  # Arjovsky et al. 2017, algorithm 1
    WGANGP: (Wasserstein, ADAM, {"lr": 1e-4, "betas": (0.0, 0.9)}, 5),  # Gulrajani et al. 2017, algorithm 1
}


@pytest.mark.parametrize("variant", PAPERS)
def test_papers_defaults(variant):
    objective, optimizer, options, n_critic = PAPERS[variant]
    module = variant((1, 28, 28))
    assert type(module.objective) is objective
    assert (module.objective.real_label, module.objective.fake_label) == (1.0, 0.0)
    assert module.n_critic == n_critic
    for made, network in zip(module.configure_optimizers(), (module.discriminator, module.generator), strict=True):
        (group,) = made.param_groups
        assert type(made) is optimizer
        found = {name: tuple(group[name]) if name == "betas" else group[name] for name in options}
        assert found == options
        assert list(map(id, group["params"])) == list(map(id, network.parameters()))
    assert (module.latent_dim, module.noise, module.fresh_noise, module.input_noise) == (100, "normal", False, 0.0)
    assert (module.ema_decay, module.gradient_clip_norm, module.input_noise_batches) == (None, None, 10_000)
    assert module.generator.output_range == module.value_range == (-1.0, 1.0)


def test_the_papers_regularizers():
    shape = (1, 28, 28)
    assert GAN(shape).regularizers.parts == LSGAN(shape).regularizers.parts == []
    (clipping,), (penalty,) = WGAN(shape).regularizers.parts, WGANGP(shape).regularizers.parts
    assert (type(clipping), clipping.clip_value) == (WeightClipping, 0.01)
    assert (type(penalty), penalty.weight, penalty.every) == (GradientPenalty, 10.0, 1)
    assert not any(isinstance(layer, torch.nn.BatchNorm2d) for layer in WGANGP(shape).discriminator.modules())
    assert any(isinstance(layer, torch.nn.BatchNorm2d) for layer in WGAN(shape).discriminator.modules())


def test_the_best_checkpoint_has_the_lowest_fid():
    assert GAN.monitor == WGANGP.monitor == "val/fid"


@pytest.mark.parametrize("regularizer", [GradientPenalty(), R1()])
def test_a_gradient_penalty_with_batch_norm_in_the_discriminator_is_refused(regularizer):
    with pytest.raises(ValueError, match=r"cannot be used with BatchNorm.*couples the images of a batch"):
        GAN((1, 28, 28), regularizer=regularizer)


def test_a_generator_of_another_range_than_the_data_is_refused():
    with pytest.raises(ValueError, match=r"produces values in \[-1.0, 1.0\] but the data's are in \[0.0, 1.0\]: set"):
        GAN(IMAGE_SHAPE, value_range=(0.0, 1.0), **SMALL)
    GAN(IMAGE_SHAPE, (0.0, 1.0), 4, functools.partial(DCGANGenerator, output="sigmoid"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_critic": 0}, "model.n_critic is 0: expected at least 1"),
        ({"input_noise": -0.1}, "model.input_noise is -0.1"),
        ({"ema_decay": 1.0}, "model.ema_decay is 1.0: expected a number between 0 and 1"),
        ({"gradient_clip_norm": 0.0}, "model.gradient_clip_norm is 0.0"),
        ({"latent_dim": 0}, "latent_dim is 0"),
    ],
)
def test_options_out_of_range_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        GAN(IMAGE_SHAPE, **{**SMALL, **options})


def test_a_checkpoint_is_plain_and_enough_to_sample_from(tmp_path):
    module = LSGAN(
        IMAGE_SHAPE,
        latent_dim=4,
        generator=functools.partial(MLPGenerator, hidden_dims=(8,)),
        discriminator=functools.partial(MLPDiscriminator, hidden_dims=[8]),
        regularizer=WeightClipping(0.5),
        ema_decay=0.9,
    )
    _, trainer = train(module, 2, tmp_path)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    checkpoint = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert checkpoint["model_class"] == "lightning_models.gan_variants.LSGAN"
    loaded = LSGAN.load_from_checkpoint(tmp_path / "last.ckpt", weights_only=True)
    assert torch.equal(loaded.sample(4, seed=1), module.sample(4, seed=1))
    assert [part.clip_value for part in loaded.regularizers.parts] == [0.5]
    assert loaded.hparams == module.hparams


def test_a_run_stopped_in_the_middle_of_an_epoch_goes_on_as_if_it_had_not_been(tmp_path):
    def run(**options):
        schedules = {name: Cosine(final=0.2) for name in ("penalty_schedule", "ema_schedule")}
        schedules["schedule"] = Cosine(final=0.2, final_beta2=0.5)
        module = GAN(
            IMAGE_SHAPE,
            **SMALL,
            **schedules,
            **{"n_critic": 3, "ema_decay": 0.9, "input_noise": 0.1, "regularizer": R1(every=2)},
            augmentation=functools.partial(DiffAugment, target=0.0, ramp_images=500, every=2),
        )
        images = batches(5).tensors
        checkpoint = ModelCheckpoint(tmp_path, "{step}", every_n_train_steps=7, save_top_k=-1)
        loader = TensorLoader(images, batch_size=16, shuffle=True)
        trainer = Trainer(
            **{"accelerator": "cpu", "logger": False, "enable_progress_bar": False, "enable_model_summary": False},
            callbacks=[RandomState(), checkpoint],
            max_epochs=3,
        )
        torch.manual_seed(0)
        trainer.fit(module, loader, **options)
        return module.state_dict()

    straight = run()
    torch.manual_seed(1)
    resumed = run(ckpt_path=tmp_path / "step=7.ckpt", weights_only=True)  # after two batches of the second epoch
    assert all(torch.equal(straight[name], resumed[name]) for name in straight)
    assert straight["augmentation.probability"] > 0


def test_evaluation_weighs_every_image_alike(tmp_path):
    module = GAN(IMAGE_SHAPE, **SMALL)
    images = batches(1, batch_size=5).tensors[0]
    loader = TensorLoader((images, torch.zeros(5)), batch_size=4)  # batches of 4 and of 1
    trainer = Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, enable_checkpointing=False)
    (metrics,) = trainer.validate(module, loader, verbose=False)
    with torch.no_grad():
        expected = torch.sigmoid(module.eval().discriminator(images)).mean().item()
    assert metrics["val/d_real"] == pytest.approx(expected, rel=1e-5)
    assert set(metrics) == {
        f"val/{n}" for n in ("d_loss", "g_loss", "d_accuracy_real", "d_accuracy_fake", "d_real", "d_fake")
    }


def test_predictions_are_the_discriminators_logits_and_scores():
    module = GAN(IMAGE_SHAPE, **SMALL).eval()
    images = torch.rand(3, *IMAGE_SHAPE)
    columns = module.predict_step((images, torch.zeros(3)), 0)
    logits = module.discriminator(images).flatten()
    torch.testing.assert_close(columns["logit"], logits)
    torch.testing.assert_close(columns["score"], logits.sigmoid())


@pytest.mark.parametrize("prefix", ["val", "test"])
def test_evaluation_names_each_number_and_repeats_its_fakes(prefix):
    module = GAN(IMAGE_SHAPE, **SMALL).eval()
    logged = {}
    module.log = lambda name, metric, **options: logged.setdefault(name, metric)
    images = torch.rand(5, *IMAGE_SHAPE) * 2 - 1
    step = module.validation_step if prefix == "val" else module.test_step
    step((images, torch.zeros(5)), 2)
    latent = torch.randn(5, 4, generator=torch.Generator().manual_seed(2))
    real, fake = module.discriminator(images), module.discriminator(module.generator(latent))
    expected = {
        "d_loss": F.softplus(-real).mean() + F.softplus(fake).mean(),
        "g_loss": F.softplus(-fake).mean(),
        "d_accuracy_real": (real > 0).float().mean(),
        "d_accuracy_fake": (fake <= 0).float().mean(),
        "d_real": real.sigmoid().mean(),
        "d_fake": fake.sigmoid().mean(),
    }
    assert {name: metric.compute().item() for name, metric in logged.items()} == pytest.approx(
        {f"{prefix}/{name}": value.item() for name, value in expected.items()}
    )


def test_decoded_images_are_in_0_to_1_and_take_any_number_of_vectors():
    module = GAN(IMAGE_SHAPE, (0.0, 1.0), 4, functools.partial(MLPGenerator, hidden_dims=[8], output="sigmoid"))
    latent = torch.randn(300, 4)  # decoded in batches of 256
    with torch.no_grad():
        torch.testing.assert_close(module.decode(latent), module.generator.eval()(latent))
