import json
import math
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.callbacks import LambdaCallback
from pytorch_lightning.plugins.precision import MixedPrecision

import cli
from datamodules.tensor_dataset import TensorLoader
from lightning_models.callbacks.alarm_measures import (
    diversity,
    membership,
    nearest,
    not_finite,
    posterior_use,
    some_of,
)
from lightning_models.callbacks.alarm_rules import Observation, StoppedByAlarmError
from lightning_models.callbacks.alarms import Alarms
from lightning_models.callbacks.sample_quality import Distance, SampleQuality
from lightning_models.gan_variants import LSGAN
from lightning_models.modules.injection import default
from lightning_models.vae import VAE

GAN = [
    *(
        "fit",
        "--model",
        "GAN",
        "--data",
        "Digits",
        "--model.latent_dim",
        "4",
        "--quiet",
        "--trainer.accelerator",
        "cpu",
    ),
    *("--model.generator.width", "8", "--model.discriminator.width", "8", "--trainer.log_every_n_steps", "2"),
    *("--samples.grid", "2", "--trainer.limit_val_batches", "1", "--alarms.every_n_batches", "2"),
]
CLASSIFIER = [
    *("fit", "--model", "ImageClassifier", "--data", "Digits", "--quiet", "--trainer.accelerator", "cpu"),
    *("--trainer.log_every_n_steps", "1", "--trainer.limit_val_batches", "0", "--alarms.every_n_batches", "2"),
]
HUGE = ["--model.optimizer_g", "torch.optim.SGD", "--model.optimizer_g.lr", "1e38"]


def alarms(run_dir):
    return json.loads((run_dir / "alarms.json").read_text())


def weights(run_dir):
    return torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)


def fails(*args):
    with pytest.raises(SystemExit) as stopped:
        cli.main(list(args))
    assert stopped.value.code == 2


class Poison(Callback):
    """What a bad batch does to the weights."""

    def __init__(self, batch: int) -> None:
        self.batch = batch

    def on_train_batch_end(self, trainer, pl_module, *args):
        if trainer.global_step == self.batch:
            with torch.no_grad():
                next(pl_module.parameters()).fill_(torch.nan)


def test_nan_stops_the_run_and_the_last_good_checkpoint_stays(tmp_path, capsys):
    run_dir = tmp_path / "run"
    poison = ["--trainer.callbacks+=tests.lightning_models.callbacks.test_alarms.Poison", "--trainer.callbacks.batch=8"]
    options = ["--trainer.max_epochs", "4", "--trainer.limit_train_batches", "4", "--alarms.every_n_batches", "1000"]
    fails(*GAN, *options, "--trainer.limit_val_batches", "0", *poison, "--run_dir", str(run_dir))
    assert "error: the run was stopped at batch 8 by an alarm, not_finite: generator." in capsys.readouterr().err
    last = weights(run_dir)
    assert last["global_step"] == 4  # the epoch before; that of batch 8 was not written
    assert all(value.isfinite().all() for value in last["state_dict"].values() if value.is_floating_point())


def test_a_run_that_diverges_is_stopped_before_any_checkpoint_of_it(tmp_path, capsys):
    run_dir = tmp_path / "run"
    options = ["--trainer.max_epochs", "2", "--trainer.limit_val_batches", "0", "--alarms.every_n_batches", "1000"]
    fails(*GAN, *HUGE, *options, "--run_dir", str(run_dir))
    error = capsys.readouterr().err
    assert "alarm        not_finite at batch" in error
    assert "error: the run was stopped at batch" in error
    assert not (run_dir / "checkpoints" / "last.ckpt").exists()
    assert alarms(run_dir)[0]["name"] == "not_finite"


def test_other_families_are_stopped_by_nan_too(tmp_path, capsys):
    run_dir = tmp_path / "run"
    huge = ["--model.optimizer", "torch.optim.SGD", "--model.optimizer.lr", "1e38", "--trainer.max_epochs", "1"]
    fails(*CLASSIFIER, *huge, "--run_dir", str(run_dir))
    assert "not_finite" in capsys.readouterr().err


def small_gan():
    mlp = "lightning_models.networks.MLP"
    generator, discriminator = default(f"{mlp}Generator", hidden_dims=[8]), default(f"{mlp}Discriminator")
    return LSGAN((1, 8, 8), latent_dim=4, generator=generator, discriminator=discriminator)


def fit_in_float16(run_dir, *callbacks):
    """Eight batches whose first gradients overflow."""
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    images = torch.rand(64, 1, 8, 8) * 2 - 1
    plugin = MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=2.0**22))
    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        max_epochs=1,
        log_every_n_steps=1,
        plugins=[plugin],
        default_root_dir=run_dir,
        callbacks=[*callbacks, Alarms(every_n_batches=1)],
        **quiet,
    )
    norms = []
    seen = LambdaCallback(on_train_batch_end=lambda *_: norms.append(trainer.callback_metrics["train/g_gradient_norm"]))
    trainer.callbacks.insert(0, seen)
    trainer.fit(small_gan(), TensorLoader((images, torch.zeros(64)), 8))
    return trainer, torch.stack(norms)


@pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no `val_dataloader`")
def test_gradients_that_overflow_under_a_scaler_are_no_alarm_but_weights_are(tmp_path):
    trainer, norms = fit_in_float16(tmp_path)
    assert trainer.global_step == 8
    assert not norms[0].isfinite()
    assert norms[-1].isfinite()
    assert not (tmp_path / "alarms.json").exists()
    with pytest.raises(StoppedByAlarmError, match=r"stopped at batch 5 by an alarm, not_finite: generator\."):
        fit_in_float16(tmp_path, Poison(5))


def test_every_process_goes_by_what_the_first_one_has_seen(tmp_path):
    of_the_first = Observation(7, not_finite="a weight of the first")
    strategy = SimpleNamespace(broadcast=lambda seen: of_the_first)
    second = SimpleNamespace(strategy=strategy, is_global_zero=False, default_root_dir=str(tmp_path))
    with pytest.raises(StoppedByAlarmError, match="stopped at batch 7 by an alarm, not_finite: a weight of the first"):
        Alarms().observe(second, torch.nn.Linear(1, 1), Observation(7))


def test_no_process_writes_a_checkpoint_where_another_holds_nan(tmp_path):
    strategy = SimpleNamespace(broadcast=lambda seen: seen, reduce_boolean_decision=lambda decision, all: False)
    process = SimpleNamespace(
        strategy=strategy, is_global_zero=False, default_root_dir=str(tmp_path), training=True, global_step=3
    )
    with pytest.raises(StoppedByAlarmError, match="a number of another process"):
        Alarms().on_save_checkpoint(process, torch.nn.Linear(1, 1), {})


def test_a_restart_takes_the_next_seed_and_a_folder_beside(tmp_path, capsys):
    run_dir = tmp_path / "run"
    asked = ["--alarms.on_alarm", "restart", "--alarms.restarts", "1", "--trainer.max_epochs", "1"]
    fails(*GAN, *HUGE, *asked, "--run_dir", str(run_dir), "--seed_everything", "5")
    assert "restart 1 with seed 6 in" in capsys.readouterr().err
    for folder in (run_dir, tmp_path / "run-restart1"):
        assert alarms(folder)[0]["name"] == "not_finite"


def test_stop_at_pinned_weights_and_the_snapshot(tmp_path, capsys):
    run_dir = tmp_path / "run"
    wgan = [option.replace("GAN", "WGAN") if option == "GAN" else option for option in GAN]
    options = ["--model.optimizer_d.lr", "1.0", "--trainer.max_epochs", "4", "--alarms.on_alarm", "stop"]
    fails(*wgan, *options, "--run_dir", str(run_dir))
    assert "the critic's parameters lie at the clipping bound" in capsys.readouterr().err
    assert [(alarm["name"], alarm["batch"]) for alarm in alarms(run_dir)] == [("pinned_weights", 2 * 5)]
    with Image.open(next((run_dir / "samples").glob("alarm-pinned_weights-*.png"))) as picture:
        assert picture.width >= 200


def test_training_is_the_same_with_and_without(tmp_path):
    found = []
    for name, options in (("with", []), ("without", ["--alarms.enabled", "false"])):
        run_dir = tmp_path / name
        noisy = ["--model.input_noise", "0.1", "--trainer.max_epochs", "2", "--trainer.limit_train_batches", "6"]
        cli.main([*GAN, *noisy, *options, "--run_dir", str(run_dir)])
        found.append(weights(run_dir))
    with_alarms, without = found
    assert all(torch.equal(value, without["state_dict"][name]) for name, value in with_alarms["state_dict"].items())
    states = [kept["callbacks"]["RandomState"]["torch"] for kept in found]
    assert torch.equal(*states)


def test_what_is_measured():
    module = torch.nn.Linear(3, 2)
    assert not_finite(module) is None
    with torch.no_grad():
        module.bias[1] = torch.nan
    assert not_finite(module) == "bias"
    points = torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 0.0]])
    assert diversity(points) == pytest.approx(10 / 3)
    assert nearest(points) == 0
    assert nearest(torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 2.0]])) == 2


def data_of(training, held_out, labels=None):
    """A data module's images and labels."""
    parts = {"train": training, "val": held_out[:0], "test": held_out}
    data = {f"{name}_images": images for name, images in parts.items()}
    return SimpleNamespace(**data, **{f"{name}_labels": torch.zeros(len(i), dtype=int) for name, i in parts.items()})


def test_membership_is_the_area_under_the_curve(monkeypatch):
    """By a D that says how bright an image is: of two and three images, all six pairs."""
    gan = small_gan()
    monkeypatch.setattr(gan.discriminator, "forward", lambda images: images.mean(dim=(1, 2, 3)).unsqueeze(1))
    grey = [torch.full((1, 8, 8), level, dtype=torch.uint8) for level in (10, 20, 30, 40)]
    data = data_of(torch.stack([grey[1], grey[3]]), torch.stack([grey[0], grey[1], grey[2]]))
    training, held_out = some_of(data, ("train",), 128), some_of(data, ("val", "test"), 128)
    assert membership(gan, training, held_out) == pytest.approx((1 + 0.5 + 0 + 3) / 6)
    assert membership(gan, training, some_of(data, ("val",), 128)) is None
    assert len(some_of(data, ("test",), 2).pixels) == 2
    assert gan.discriminator.training


@pytest.mark.parametrize(("splits", "expected"), [(("val", "test"), 20), (("test",), 30)])
def test_images_that_d_was_not_trained_on_are_those_of_the_validation_or_else_of_the_test(splits, expected):
    data = SimpleNamespace()
    for split, level in (("train", 10), ("val", 20), ("test", 30)):
        count = 3 if split in ("train", *splits) else 0
        setattr(data, f"{split}_images", torch.full((count, 1, 8, 8), level))
        setattr(data, f"{split}_labels", torch.zeros(count, dtype=int))
    vae = VAE((1, 8, 8), latent_dim=2, encoder=default("lightning_models.networks.MLPDiscriminator"))
    observer = Alarms()
    observer.on_fit_start(SimpleNamespace(datamodule=data), vae)
    assert observer.training.pixels.unique().tolist() == [10]
    assert observer.held_out.pixels.unique().tolist() == [expected]


def test_use_of_the_posterior(monkeypatch):
    """Two variables: one follows the image, one has the prior's mean and a smaller variance."""
    vae = VAE((1, 8, 8), latent_dim=2, encoder=default("lightning_models.networks.MLPDiscriminator"))
    brightness = lambda images: images.mean(dim=(1, 2, 3))  # noqa: E731
    zero = torch.zeros(2)
    code = lambda images: torch.stack([10 * brightness(images), zero, zero, zero - 1], dim=1)  # noqa: E731
    monkeypatch.setattr(vae.encoder, "forward", code)
    images = torch.stack([torch.zeros(1, 8, 8), torch.full((1, 8, 8), 51.0)]).to(torch.uint8)
    used = posterior_use(vae, some_of(data_of(images, images), ("train",), 128))
    by_hand = torch.distributions.kl_divergence(
        torch.distributions.Normal(torch.tensor([[0.0, 0.0], [2.0, 0.0]]), torch.tensor([1.0, math.exp(-0.5)])),
        torch.distributions.Normal(0.0, 1.0),
    )
    assert used[:2] == (1, 2)
    assert used[2] == pytest.approx(float(by_hand.sum(dim=1).mean()), rel=1e-5)
    assert posterior_use(vae, None) is None


def test_the_measured_quality_is_looked_at_and_a_relapse_stops_the_run(tmp_path, capsys, monkeypatch):
    worse = iter([1.0, 2.0, 2.0, 2.0, 2.0])

    def measure(self, trainer, *args):
        self.measured = Distance(trainer.global_step, next(worse), "a network")

    monkeypatch.setattr(SampleQuality, "measure", measure)
    options = ["--trainer.max_epochs", "5", "--trainer.limit_train_batches", "3", "--quality.every_n_epochs", "1"]
    run_dir = tmp_path / "run"
    fails(*GAN, *options, "--alarms.on_alarm", "stop", "--run_dir", str(run_dir))
    assert "by an alarm, quality_relapse: the Frechet distance is 2, its best was 1" in capsys.readouterr().err
    (alarm,) = [each for each in alarms(run_dir) if each["name"] == "quality_relapse"]
    assert alarm["batch"] == 12
    assert (run_dir / "samples" / "alarm-quality_relapse-0000012.png").is_file()
    assert weights(run_dir)["callbacks"]["Alarms"]["rules"]["quality_relapse"]["in_a_row"] == 2


def test_a_vae_whose_beta_is_far_too_large_collapses(tmp_path, monkeypatch):
    monkeypatch.setattr("lightning_models.callbacks.alarm_rules.UPDATES_TO_LEARN", 0)
    run_dir = tmp_path / "run"
    vae = ["fit", "-c", "configs/vae/digits.yaml", "--quiet", "--trainer.accelerator", "cpu", "--model.beta", "1e4"]
    vae += ["--trainer.max_epochs", "3", "--trainer.limit_val_batches", "0", "--alarms.every_n_batches", "5"]
    cli.main([*vae, "--run_dir", str(run_dir)])
    assert [alarm["name"] for alarm in alarms(run_dir)] == ["posterior_collapse"]
