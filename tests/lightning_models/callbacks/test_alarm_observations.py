"""What `Alarms` observes, and what it does about it, one call at a time, without a run."""

import json
from types import SimpleNamespace

import pytest
import torch

from lightning_models.callbacks import alarms as module_of_alarms
from lightning_models.callbacks.alarm_rules import Observation, RestartAskedError, StoppedByAlarmError
from lightning_models.callbacks.alarms import Alarms
from lightning_models.gan_variants import LSGAN, WGAN
from lightning_models.losses.regularizers import WeightClipping
from lightning_models.modules.injection import default


def small_gan(family=LSGAN, **options):
    mlp = "lightning_models.networks.MLP"
    generator, discriminator = default(f"{mlp}Generator", hidden_dims=[8]), default(f"{mlp}Discriminator")
    return family((1, 8, 8), latent_dim=4, generator=generator, discriminator=discriminator, **options)


def process(tmp_path, **attributes):
    """A trainer of one process, after six batches."""
    strategy = SimpleNamespace(broadcast=lambda seen: seen, reduce_boolean_decision=lambda decision, all: decision)
    known = {"strategy": strategy, "is_global_zero": True, "default_root_dir": str(tmp_path), "loggers": []}
    return SimpleNamespace(
        **known | {"global_step": 6, "precision_plugin": None, "callback_metrics": {}, "training": True} | attributes
    )


@pytest.fixture
def observed(monkeypatch):
    """What the rules were asked about."""
    observations = []
    monkeypatch.setattr(Alarms, "observe", lambda self, trainer, module, seen, samples=None: observations.append(seen))
    return observations


class ByBrightness:
    """A classifier of ten classes: tenths of the first pixel."""

    def extract(self, images, device):
        assert images.dtype == torch.uint8
        classes = (images[:, 0, 0, 0].float() / 25.5).int().clamp(max=9)
        return SimpleNamespace(logits=torch.nn.functional.one_hot(classes.long(), 10).float())


@pytest.mark.parametrize(("family", "updates", "has_labels"), [(LSGAN, 6, True), (WGAN, 2, False)])
def test_what_is_observed_of_a_gan(tmp_path, observed, family, updates, has_labels):
    gan = small_gan(family, **({} if family is LSGAN else {"n_critic": 3}))
    alarms = Alarms(every_n_batches=3)
    alarms.real, alarms.classifier = torch.rand(128, 1, 8, 8), ByBrightness()
    samples = 0.5 * alarms.real
    gan.sample = lambda count, seed: samples[:count]
    metrics = {"train/d_loss": torch.tensor(0.5), "val/d_loss": torch.tensor(9.0), "train/samples_per_second": 7.0}
    trainer = process(tmp_path, callback_metrics=metrics)
    alarms.on_train_batch_end(trainer, gan, None, [torch.zeros(1, 1, 8, 8)], 0)
    alarms.on_train_batch_end(trainer, gan, None, [torch.zeros(1, 1, 8, 8)], 0)  # no new metrics
    alarms.on_train_batch_end(process(tmp_path, global_step=7), gan, None, [torch.zeros(1, 1, 8, 8)], 0)  # none is due
    first, second = observed
    assert (first.batch, first.updates, first.has_labels) == (6, updates, has_labels)
    assert first.metrics == {"d_loss": 0.5}
    assert second.metrics == {}
    assert first.diversity == first.nearest == pytest.approx(0.5)  # of half the contrast
    assert first.classes == (5, 10)
    assert (first.pinned is None) == (family is LSGAN)


def test_a_class_counts_from_one_image_in_a_hundred(tmp_path):
    alarms = Alarms()
    alarms.classifier = ByBrightness()
    alarms.real, samples = torch.zeros(100, 1, 8, 8), torch.zeros(101, 1, 8, 8)
    alarms.real[0] = samples[0] = 1.0
    assert alarms.classes_of(samples) == (1, 2)


def test_measures_are_relative_to_those_of_real_images_which_are_measured_once_all_are_there():
    alarms, measured = Alarms(), []

    def mean(images):
        measured.append(len(images))
        return float(images.mean())

    twos = torch.full((5, 1, 2, 2), 2.0)
    assert alarms.ratio(mean, twos) is None  # without real images
    alarms.real = torch.full((100, 1, 2, 2), 4.0)
    assert [alarms.ratio(mean, twos), alarms.ratio(mean, twos)] == [0.5, 0.5]
    assert measured == [100, 5, 100, 5]  # more of them may follow
    alarms.real = torch.full((128, 1, 2, 2), 8.0)
    assert [alarms.ratio(mean, twos), alarms.ratio(mean, twos), alarms.ratio(mean, None)] == [0.25, 0.25, None]
    assert measured[4:] == [128, 5, 5]
    alarms = Alarms()
    alarms.real = torch.zeros(128, 1, 2, 2)
    assert alarms.ratio(mean, twos) is None  # real images that are alike say nothing


def test_the_first_real_images_are_kept_in_the_unit_range(tmp_path, observed):
    alarms = Alarms(every_n_batches=1000)
    gan = small_gan()
    assert gan.value_range == (-1.0, 1.0)
    for value in (-1.0, 0.0, 1.0):
        alarms.on_train_batch_end(process(tmp_path), gan, None, [torch.full((100, 1, 8, 8), value)], 0)
    assert len(alarms.real) == 128
    assert alarms.real[:100].unique().tolist() == [0.0]
    assert alarms.real[100:].unique().tolist() == [0.5]


@pytest.mark.parametrize(
    ("on_alarm", "kind"), [("warn", None), ("stop", StoppedByAlarmError), ("restart", RestartAskedError)]
)
def test_an_alarm_rings_ends_and_rings_again(tmp_path, monkeypatch, on_alarm, kind):
    sent = []
    monkeypatch.setattr(module_of_alarms, "send_alert", lambda trainer, title, text: sent.append((title, text)))
    alarms = Alarms(on_alarm=on_alarm)
    pinned = [Observation(batch, pinned=0.9) for batch in range(1, 6)]
    looks = [*pinned, Observation(6, pinned=0.5), *pinned, Observation(7, pinned=0.5)]
    if kind is not None:
        for look in looks[:4]:
            alarms.observe(process(tmp_path), None, look)
        with pytest.raises(StoppedByAlarmError, match="stopped at batch 5") as stopped:
            alarms.observe(process(tmp_path), None, looks[4])
        assert type(stopped.value) is kind
        return
    for look in looks[:6]:
        alarms.observe(process(tmp_path), None, look)
    resumed = Alarms()  # from a checkpoint of that batch
    resumed.load_state_dict(json.loads(json.dumps(alarms.state_dict())))
    for look in looks[6:]:
        resumed.observe(process(tmp_path), None, look)
    kept = json.loads((tmp_path / "alarms.json").read_text())
    assert [(alarm["name"], alarm["batch"], alarm["ended"]) for alarm in kept] == [
        ("pinned_weights", 5, 6),
        ("pinned_weights", 5, 7),
    ]
    assert [title for title, _ in sent] == ["alarm: pinned_weights"] * 2
    assert sent[0][1] == kept[0]["message"]


def test_nan_stops_a_run_that_only_warns(tmp_path):
    with pytest.raises(StoppedByAlarmError):
        Alarms(on_alarm="warn").observe(process(tmp_path), None, Observation(1, not_finite="a weight"))


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize(
    ("name", "scaler", "found"),
    [
        ("d_loss", None, "d_loss"),
        ("d_loss", "a loss scaler", "d_loss"),
        ("d_gradient_norm", None, "d_gradient_norm"),
        ("d_gradient_norm", "a loss scaler", None),  # it skips the step
    ],
)
def test_metrics_that_are_not_finite(tmp_path, observed, value, name, scaler, found):
    metrics = {f"train/{name}": torch.tensor(value)}
    trainer = process(tmp_path, callback_metrics=metrics, precision_plugin=SimpleNamespace(scaler=scaler))
    Alarms().look(trainer, torch.nn.Linear(1, 1))
    assert observed[0].not_finite == found


def test_samples_that_are_not_finite(tmp_path, observed):
    gan = small_gan()
    gan.sample = lambda count, seed: torch.full((count, 1, 8, 8), torch.nan)
    Alarms().look(process(tmp_path), gan)
    assert (observed[0].not_finite, observed[0].diversity) == ("the samples", None)


def test_only_checkpoints_of_the_training_are_checked(tmp_path):
    broken = torch.nn.Linear(1, 1)
    broken.weight.data.fill_(torch.nan)
    Alarms().on_save_checkpoint(process(tmp_path, training=False), broken, {})
    Alarms(enabled=False).on_save_checkpoint(process(tmp_path), broken, {})
    with pytest.raises(StoppedByAlarmError, match="weight is NaN or infinite"):
        Alarms().on_save_checkpoint(process(tmp_path), broken, {})


def test_an_alarm_comes_with_64_samples(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(module_of_alarms, "to_picture", lambda images, columns: (len(images), columns))
    monkeypatch.setattr(module_of_alarms, "save_picture", lambda trainer, *args, **key: written.append((*args, key)))
    alarms = Alarms()
    for batch in range(1, 6):
        alarms.observe(process(tmp_path), None, Observation(batch, pinned=0.9), torch.zeros(128, 1, 8, 8))
    assert written == [("alarm-pinned_weights-0000005", (64, 8), {"key": "alarm-pinned_weights"})]


def test_weights_are_pinned_at_the_narrowest_bound():
    critic = torch.nn.Linear(4, 1, bias=False)
    critic.weight.data = torch.tensor([[0.1, -0.1, 0.05, 0.1]])
    clipping = [WeightClipping(0.1), WeightClipping(0.5)]
    gan = SimpleNamespace(discriminator=critic, regularizers=SimpleNamespace(parts=clipping))
    assert module_of_alarms.pinned(gan) == 0.75
