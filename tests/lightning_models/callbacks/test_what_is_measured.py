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

    def prepare(self, images, device, share):
        self.prepared = (images, device, share(lambda: "made"))

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
    strategy = SimpleNamespace(
        reduce_boolean_decision=lambda decision, all: decision, broadcast=lambda found: found or "of the first"
    )
    known = {
        "datamodule": data,
        "state": SimpleNamespace(fn=fn),
        "global_rank": rank,
        "world_size": size,
        "global_step": 8,
    }
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


def test_pixels_are_rounded_to_8_bits(data, compared):
    model = Constant()
    model.decode = lambda latent: torch.full((len(latent), 1, 2, 2), 200.6 / 255)
    quality().on_validation_epoch_end(process(data), model)
    assert compared[0][1] == ("generated", 201, 12)


def test_each_measurement_has_a_baseline_of_its_own(data, compared):
    measured = quality(every_n_epochs=1)
    trainer = process(data, "fit", current_epoch=0, max_epochs=9, global_step=1, max_steps=-1, should_stop=False)
    measured.on_train_epoch_end(trainer, Constant())
    measured.on_test_epoch_end(process(data, "test"), Constant())
    assert len(compared) == 4
    assert [call[1][1] for call in compared] == [200, 30, 200, 10]


def test_what_a_comparison_is_made_for(data, monkeypatch):
    made = []
    monkeypatch.setattr(module, "Quality", lambda *args: made.append(args))
    conditional = Constant()
    conditional.class_names = ["a", "b", "c"]
    for model, asked in ((Constant(), 0), (conditional, 3)):
        quality(seed=5).quality(process(data, lightning_module=model), Pixels(), "cpu")
        assert made.pop() == (1, None, 5, "cpu", asked)


def test_labels_stay_with_their_images(monkeypatch):
    """Those of real images are chosen with them; those of generated images are the classes asked for."""
    updates = []

    class Recorder:
        def __init__(self, *args):
            self.compute = Measured

        def update(self, features, logits, real, labels=None):
            updates.append((real, features.flatten().tolist(), None if labels is None else labels.tolist()))

        update_neighbours = __init__

    monkeypatch.setattr(module, "Quality", Recorder)
    monkeypatch.setattr(module, "features_of_real", lambda network, images, device: network.extract(images, device))
    shades = torch.arange(20, dtype=torch.uint8)
    splits = {f"{split}_images": shades.view(20, 1, 1, 1) for split in ("train", "val", "test")}
    data = SimpleNamespace(**splits, train_labels=shades.long() + 100, test_labels=shades.long() + 200)
    model = Constant()
    model.class_names, model.class_shares = ["a", "b", "c"], torch.tensor([0.2, 0.3, 0.5])
    model.decode = lambda latent: (latent.labels.float() / 255).view(-1, 1, 1, 1)
    quality().on_validation_epoch_end(process(data, lightning_module=model), model)
    (_, real, labels), (_, fake, asked) = updates
    assert sorted(real) != real
    assert labels == [shade + 100 for shade in real]
    assert asked == fake
    assert set(fake) == {0, 1, 2}


@pytest.mark.parametrize(("fn", "during_fit"), [("fit", True), ("validate", False), ("test", False)])
def test_the_feature_extractor_is_chosen_for_the_command(data, monkeypatch, capsys, fn, during_fit):
    asked = []
    monkeypatch.setattr(module, "choose_extractor", lambda *args: asked.append(args) or (Pixels(), ["a note"]))
    measured = SampleQuality("random")
    state = torch.get_rng_state()
    hook = {"fit": measured.on_fit_start, "validate": measured.on_validation_start, "test": measured.on_test_start}[fn]
    hook(process(data, fn), Constant())
    hook(process(data, fn), Constant())
    others = SampleQuality("random")
    others.on_validation_start(process(data, "validate", is_global_zero=False), Constant())
    assert others.network.prepared[2] == "of the first"
    assert asked.pop()[3] is False
    assert asked == [("random", data, (1, 2, 2), during_fit, data.train_images)] * 2
    assert measured.network.prepared == (data.train_images, torch.device("cpu"), "made")
    assert capsys.readouterr().err == "a note\n"  # once
    assert torch.equal(state, torch.get_rng_state())


def test_a_validation_inside_a_fit_measures_nothing(data, compared):
    quality().on_validation_epoch_end(process(data, "fit"), Constant())
    SampleQuality().on_validation_start(process(data, "fit"), Constant())
    SampleQuality(every_n_epochs=0).on_fit_start(process(None, "fit"), Constant())
    assert compared == []


def test_a_diverged_generator_is_reported_and_nothing_is_logged(data, compared, capsys):
    model = Constant()
    model.decode = lambda latent: torch.full((len(latent), 1, 2, 2), torch.nan)
    measured = quality()
    measured.on_validation_epoch_end(process(data), model)
    assert model.logged == {}
    assert "12 of 12 generated images hold NaN or infinite pixels" in capsys.readouterr().err
    assert measured.report["values"] == measured.report["baseline"] == {}
    assert "NaN or infinite pixels" in measured.report["problems"][0]
