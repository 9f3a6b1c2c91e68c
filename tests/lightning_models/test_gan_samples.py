"""What comes out of a GAN: samples, averaged weights, evaluations, predictions and checkpoints."""

import functools
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import ModelCheckpoint

from datamodules.tensor_dataset import TensorLoader
from lightning_models.callbacks.random_state import RandomState
from lightning_models.gan import GAN
from lightning_models.gan_variants import LSGAN
from lightning_models.losses.regularizers import R1, WeightClipping
from lightning_models.modules.augmentation import DiffAugment
from lightning_models.modules.schedules import Cosine
from lightning_models.networks import MLPDiscriminator, MLPGenerator
from tests.small_gans import IMAGE_SHAPE, SMALL, batches, train

pytestmark = [
    pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no `val_dataloader`"),
    # What it warns of, weights after the update, is what is wanted.
    pytest.mark.filterwarnings("ignore:Using ModelCheckpoint with manual optimization and every_n_train_steps"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty"),
]


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
