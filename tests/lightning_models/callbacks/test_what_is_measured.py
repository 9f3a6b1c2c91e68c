"""Which images `SampleQuality` compares with which, and when, without a network or a run."""

from types import SimpleNamespace

import pytest
import torch

from lightning_models.callbacks import sample_quality as module
from lightning_models.callbacks.sample_quality import SampleQuality
from lightning_models.feature_extractors.networks import Features
from lightning_models.metrics.quality import Measured
from lightning_models.modules.image_generator import ImageGenerator


class Pixels:
    """A feature extractor whose only feature is the first pixel."""

    name, description, accuracy, fingerprint = "pixels", "first pixels", None, "0" * 64
    num_features, num_classes, max_neighbours = 1, None, 30

    def extract(self, images, device="cpu"):
        return Features(images[:, 0, 0, :1].double(), None)


class Constant(ImageGenerator):
    """Makes images of one brightness from latent vectors that it remembers."""

    image_shape, device = (1, 2, 2), torch.device("cpu")

    def __init__(self):
        self.drawn, self.logged = [], {}

    def draw_vectors(self, count, generator):
        vectors = torch.randn(count, 3, generator=generator)
        self.drawn.append(vectors)
        return vectors

    def decode(self, latent):
        return torch.full((len(latent), 1, 2, 2), 200 / 255)

    def log_dict(self, values, sync_dist):
        assert sync_dist
        self.logged |= values


def images(brightness, count):
    return torch.full((count, 1, 2, 2), brightness, dtype=torch.uint8)


def process(data, fn="validate", rank=0, size=1, **attributes):
    strategy = SimpleNamespace(reduce_boolean_decision=lambda decision, all: decision)
    known = {"datamodule": data, "state": SimpleNamespace(fn=fn), "global_rank": rank, "world_size": size}
    return SimpleNamespace(
        **known | {"is_global_zero": True, "strategy": strategy, "lightning_module": Constant()} | attributes
    )


@pytest.fixture
def data():
    return SimpleNamespace(train_images=images(10, 40), val_images=images(20, 8), test_images=images(30, 12))


@pytest.fixture
def compared(monkeypatch):
    """What each comparison was given: ("real" or "generated" or "known" or "held out", brightness, number)."""
    calls = []

    class Recorder:
        def __init__(self, *args):
            calls.append([])

        def update(self, features, logits, real, labels=None):
            calls[-1].append(("real" if real else "generated", int(features.unique()), len(features)))

        def update_neighbours(self, known, held_out):
            for name, features in (("known", known), ("held out", held_out)):
                calls[-1].append((name, int(features.unique()), len(features)))

        def compute(self):
            return Measured(values={"fid": 1.0, "recall": 0.5})

    monkeypatch.setattr(module, "Quality", Recorder)
    monkeypatch.setattr(module, "features_of_real", lambda network, images, device: network.extract(images, device))
    return calls


def quality(**options):
    made = SampleQuality(**{"num_samples": 20, "num_samples_in_fit": 6} | options)
    made.network = Pixels()
    return made


def test_validate_compares_with_training_images_and_the_baseline_is_of_test_images(data, compared):
    measured, model = quality(), Constant()
    measured.on_validation_epoch_end(process(data), model)
    held_out = [("known", 10, 30), ("held out", 30, 12)]
    assert compared == [
        [("real", 10, 20), ("generated", 200, 12), *held_out],
        [("real", 10, 20), ("generated", 30, 12)],  # the baseline, as many as there are samples
    ]
    assert (measured.report["n_real"], measured.report["n_fake"]) == (20, 12)
    assert measured.report["real_images"] == "training"
    assert model.logged == {"val/fid": 1.0, "val/fid_pixels": 1.0, "val/recall": 0.5}


def test_test_compares_with_test_images_and_the_baseline_is_of_training_images(data, compared):
    measured, model = quality(), Constant()
    measured.on_test_epoch_end(process(data, "test"), model)
    assert compared[0][:2] == [("real", 30, 12), ("generated", 200, 12)]
    assert compared[1] == [("real", 30, 12), ("generated", 10, 12)]
    assert measured.report["real_images"] == "test"
    assert set(model.logged) == {"test/fid", "test/fid_pixels", "test/recall"}


def test_a_fit_takes_fewer_images_and_keeps_its_baseline(data, compared):
    measured = quality(every_n_epochs=1)
    trainer = process(data, "fit", current_epoch=0, max_epochs=9, global_step=1, max_steps=-1, should_stop=False)
    measured.on_train_epoch_end(trainer, Constant())
    measured.on_train_epoch_end(trainer, Constant())
    assert [call[:2] for call in compared] == [
        [("real", 10, 6), ("generated", 200, 6)],
        [("real", 10, 6), ("generated", 30, 6)],
        [("real", 10, 6), ("generated", 200, 6)],
    ]


def test_validation_images_stand_in_for_test_images(data, compared):
    data.test_images = images(30, 0)
    quality().on_validation_epoch_end(process(data), Constant())
    assert compared[0][3] == ("held out", 20, 8)
    assert compared[1][1] == ("generated", 20, 8)


def test_each_process_adds_its_own_share(data, compared):
    for rank, generated in ((0, 6), (1, 6)):
        quality().on_validation_epoch_end(process(data, rank=rank, size=2), Constant())
        held_out = [("known", 10, 15), ("held out", 30, 6)]
        assert compared[-2] == [("real", 10, 10), ("generated", 200, generated), *held_out]


def test_the_seed_chooses_latent_vectors_and_real_images(monkeypatch):
    monkeypatch.setattr(module, "features_of_real", lambda network, images, device: network.extract(images, device))
    drawn, chosen = [], []
    data = SimpleNamespace(train_images=torch.arange(50, dtype=torch.uint8).view(50, 1, 1, 1))
    for seed in (0, 0, 1):
        model, made = Constant(), quality(seed=seed)
        made.generated(process(data), model, 5)
        drawn.append(model.drawn[0])
        chosen.append(made.real(Pixels(), data, "train", 10, torch.device("cpu")).features)
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert torch.equal(chosen[0], chosen[1])
    assert not torch.equal(chosen[0], chosen[2])


def test_processes_share_one_draw_of_the_samples(monkeypatch):
    monkeypatch.setattr(module, "GENERATED_AT_ONCE", 4)
    decoded = {}
    for rank in (0, 1):
        model = Constant()
        seen = []
        model.decode = lambda latent, seen=seen: seen.append(latent.vectors) or torch.zeros(len(latent), 1, 2, 2)
        images, labels = quality().generated(process(None, rank=rank, size=2), model, 9)
        assert labels is None
        assert len(images) == len(torch.cat(seen))
        decoded[rank] = (torch.cat(seen), torch.cat(model.drawn))
    everything = decoded[0][1]
    assert torch.equal(everything, decoded[1][1])
    assert torch.equal(torch.cat([decoded[0][0], decoded[1][0]]).sort(dim=0).values, everything.sort(dim=0).values)


@pytest.mark.parametrize(
    ("every", "epochs", "due"),
    [
        (None, 100, list(range(10, 101, 10))),
        (None, 25, [3, 6, 9, 12, 15, 18, 21, 24, 25]),
        (None, 4, [1, 2, 3, 4]),
        (None, -1, [10, 20, 30]),
        (3, 8, [3, 6, 8]),
        (0, 8, []),
    ],
)
def test_epochs_that_are_measured(every, epochs, due):
    measured = SampleQuality(every_n_epochs=every)
    last = epochs if epochs > 0 else 30
    trainers = [
        SimpleNamespace(current_epoch=k - 1, max_epochs=epochs, global_step=k, max_steps=-1, should_stop=False)
        for k in range(1, last + 1)
    ]
    assert [k for k, trainer in enumerate(trainers, 1) if measured.is_due(trainer)] == due


@pytest.mark.parametrize("end", [{"max_steps": 7}, {"should_stop": True}])
def test_the_last_epoch_is_measured_however_the_run_ends(end):
    common = {"current_epoch": 0, "max_epochs": 1000, "global_step": 7, "max_steps": -1, "should_stop": False}
    assert not SampleQuality().is_due(SimpleNamespace(**common))
    assert SampleQuality().is_due(SimpleNamespace(**common | end))
    assert not SampleQuality(every_n_epochs=0).is_due(SimpleNamespace(**common | end))
