"""Feature extractors and the cache of real features."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from lightning_models.feature_extractors import cache as real_features
from lightning_models.feature_extractors import classifier as published
from lightning_models.feature_extractors.cache import features_of_real
from lightning_models.feature_extractors.classifier import ClassifierFeatures
from lightning_models.feature_extractors.networks import InceptionFeatures, RandomFeatures, hash_of
from lightning_models.image_classifier import ImageClassifier


def images(count, channels=1, size=8):
    return torch.randint(0, 256, (count, channels, size, size), dtype=torch.uint8)


@pytest.fixture
def classifier(monkeypatch, tmp_path):
    """A classifier of three classes for 1 x 8 x 8 images in [-1, 1], and the path that opens it."""
    made = ImageClassifier((1, 8, 8), ["a", "b", "c"], (-1.0, 1.0)).eval()
    path = tmp_path / "abc.ckpt"
    path.write_bytes(b"weights")
    monkeypatch.setattr(published, "load_classifier", lambda _: made)
    return SimpleNamespace(model=made, path=path)


def test_a_classifier_sees_its_own_value_range(classifier):
    extractor, batch = ClassifierFeatures(classifier.path, (1, 8, 8)), images(5)
    found = extractor.extract(batch)
    scaled = batch.float() / 255 * 2 - 1
    assert torch.allclose(found.features, classifier.model.features(scaled), atol=1e-5)
    assert torch.allclose(found.logits, classifier.model(scaled), atol=1e-5)
    assert (extractor.num_features, extractor.num_classes, extractor.name) == (found.features.shape[1], 3, "abc")


def test_a_classifier_of_gray_images_looks_at_channels_one_by_one(classifier):
    extractor, batch = ClassifierFeatures(classifier.path, (3, 8, 8), channelwise=True), images(40, channels=3)
    found = extractor.extract(batch)
    assert found.features.shape == (40, extractor.num_features)
    joint = extractor.class_logits(found.logits)
    assert joint.shape == (40, 27)
    assert torch.allclose(joint.exp().sum(dim=1), torch.ones(40), atol=1e-5)  # probabilities
    single = ClassifierFeatures(classifier.path, (1, 8, 8))
    a, b, c = (single.extract(batch[:, [channel]]).logits.argmax(dim=1) for channel in range(3))
    assert torch.equal(joint.argmax(dim=1), 9 * a + 3 * b + c)


@pytest.mark.parametrize(("shape", "channelwise"), [((3, 8, 8), False), ((1, 28, 28), False), ((3, 28, 28), True)])
def test_a_classifier_of_another_shape_is_refused(classifier, shape, channelwise):
    with pytest.raises(ValueError, match=r"takes images of 1 x 8 x 8, but these are \d x \d+ x \d+"):
        ClassifierFeatures(classifier.path, shape, channelwise)


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 64, 64), (1, 2, 2)])
def test_random_features_are_the_same_in_every_run(shape):
    torch.manual_seed(1)
    one = RandomFeatures(shape)
    torch.manual_seed(2)
    other = RandomFeatures(shape)
    batch = images(7, shape[0], shape[1])
    assert one.fingerprint == other.fingerprint
    assert torch.equal(one.extract(batch).features, other.extract(batch).features)
    assert one.extract(batch).features.shape == (7, one.num_features)
    assert one.extract(batch).features.isfinite().all()
    assert one.extract(batch).features.std(dim=0).max() > 0


def test_feature_networks_stay_in_evaluation_mode(classifier):
    extractor = ClassifierFeatures(classifier.path, (1, 8, 8)).train()
    assert not any(module.training for module in extractor.modules())
    assert not nn.ModuleList([extractor]).train()[0].training


@pytest.fixture
def counted(monkeypatch, tmp_path):
    """A network, and how often features were computed."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    network, calls = RandomFeatures((1, 8, 8)), []
    original = network.extract
    monkeypatch.setattr(network, "extract", lambda *args: calls.append(1) or original(*args))
    return network, calls, tmp_path / "lightning_models" / "features"


def test_real_features_are_computed_once(counted):
    network, calls, folder = counted
    batch = images(20)
    first, second = features_of_real(network, batch), features_of_real(network, batch.clone())
    assert torch.equal(first.features, second.features)
    assert len(calls) == 1
    assert [path.suffix for path in folder.iterdir()] == [".pt"]


def test_other_pixels_or_another_network_make_another_cache(counted):
    network, calls, _ = counted
    batch = images(20)
    changed = batch.clone()
    changed[3, 0, 2, 2] ^= 1
    features_of_real(network, batch)
    features_of_real(network, changed)
    features_of_real(network, batch[:10])
    features_of_real(network, batch.flip(0))
    network.fingerprint = "another"
    features_of_real(network, batch)
    assert len(calls) == 5


def test_a_damaged_cache_is_not_used(counted, capsys):
    network, calls, folder = counted
    batch = images(20)
    expected = features_of_real(network, batch).features.clone()
    (file,) = folder.iterdir()
    file.write_bytes(file.read_bytes()[:100])
    assert torch.equal(features_of_real(network, batch).features, expected)
    assert "is damaged: its features are computed again" in capsys.readouterr().err
    assert len(calls) == 2


def test_a_cache_that_cannot_be_written_is_said(counted, capsys, monkeypatch):
    network, _, folder = counted
    folder.parent.mkdir()
    folder.write_text("a file in the way")
    assert len(features_of_real(network, images(20))) == 20
    assert "cannot store the features of real images in" in capsys.readouterr().err
    assert real_features.FORMAT >= 1


def test_a_hash_tells_shape_and_kind_apart():
    zeros = torch.zeros(4)
    hashes = {hash_of([t]) for t in (zeros, zeros.view(2, 2), zeros.to(torch.int32), zeros + 1)}
    assert len(hashes | {hash_of([zeros], "more")}) == 5


def test_another_format_makes_another_cache(counted, monkeypatch):
    network, calls, _ = counted
    batch = images(20)
    features_of_real(network, batch)
    monkeypatch.setattr(real_features, "FORMAT", real_features.FORMAT + 1)
    features_of_real(network, batch)
    assert len(calls) == 2


def test_more_channels_leave_time_for_fewer_neighbours(classifier):
    single = ClassifierFeatures(classifier.path, (1, 8, 8))
    three = ClassifierFeatures(classifier.path, (3, 8, 8), channelwise=True)
    assert (single.max_neighbours, three.max_neighbours) == (60_000, 20_000)
    assert three.num_features == 3 * single.num_features


def test_inception_sees_gray_images_in_three_channels():
    class Stand(nn.Module):
        fc = nn.Linear(2, 5)

        def forward(self, seen):
            assert seen.shape[1] == 3
            return seen.float().mean(dim=(2, 3))[:, :2]

    extractor = InceptionFeatures.__new__(InceptionFeatures)
    nn.Module.__init__(extractor)
    extractor.network = Stand()
    for channels in (1, 3):
        batch = images(4, channels)
        found = extractor(batch)
        assert torch.equal(found.features, batch.expand(-1, 3, -1, -1).float().mean(dim=(2, 3))[:, :2])
        assert torch.equal(found.logits, found.features.mm(Stand.fc.weight.T))
