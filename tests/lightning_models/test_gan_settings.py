"""Defaults of the papers, refused options, regularizers and schedules."""

import functools

import pytest
import torch

from lightning_models.gan import GAN
from lightning_models.gan_variants import LSGAN, WGAN, WGANGP
from lightning_models.losses.objectives import LeastSquares, NonSaturating, Wasserstein
from lightning_models.losses.regularizers import R1, R2, GradientPenalty, WeightClipping
from lightning_models.modules.schedules import Linear
from lightning_models.networks import DCGANGenerator
from tests.small_gans import IMAGE_SHAPE, SMALL, train

pytestmark = [
    pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no `val_dataloader`"),
    # What it warns of, weights after the update, is what is wanted.
    pytest.mark.filterwarnings("ignore:Using ModelCheckpoint with manual optimization and every_n_train_steps"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty"),
]


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
