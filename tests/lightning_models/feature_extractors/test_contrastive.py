"""Features that are learnt from the pictures themselves."""

import pytest
import torch
from sklearn.datasets import load_digits
from torch.nn import functional
from torchvision.transforms.functional import gaussian_blur

from lightning_models.feature_extractors import contrastive
from lightning_models.feature_extractors.contrastive import ContrastiveFeatures, is_trained, nt_xent, path_of, views
from lightning_models.metrics.quality import Quality


def at_once(make):
    return make()


def pictures(count=40, shape=(1, 8, 8), seed=0):
    return torch.randint(0, 256, (count, *shape), generator=torch.Generator().manual_seed(seed)).to(torch.uint8)


def prepared(images, share=at_once):
    network = ContrastiveFeatures(tuple(images.shape[1:]))
    network.prepare(images, "cpu", share)
    return network


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 5, 5), (3, 32, 32), (3, 64, 96), (2, 17, 40)])
def test_features_have_mean_0_and_variance_1_on_the_training_images(cache, shape):
    images = pictures(shape=shape)
    network = prepared(images)
    features = network.extract(images).features
    assert features.shape == (40, network.num_features)
    assert features.mean(dim=0).abs().max() < 1e-4
    varied = features.std(dim=0) > 0.5  # a channel may be 0 everywhere
    assert varied.float().mean() > 0.8
    assert torch.allclose(features.std(dim=0)[varied], torch.ones(int(varied.sum())), atol=1e-3)


def test_it_learns_once_and_every_network_of_the_same_images_is_the_same(cache, capsys):
    images, others = pictures(), pictures(seed=1)
    assert not is_trained(images)
    first = prepared(images)
    assert "learns from 40 training images" in capsys.readouterr().err
    torch.manual_seed(5)  # of whatever surrounds it
    again = prepared(images)
    assert capsys.readouterr().err == ""
    assert is_trained(images)
    assert not is_trained(others)
    assert again.fingerprint == first.fingerprint != prepared(others).fingerprint
    path_of(images).unlink()
    assert prepared(images).fingerprint == first.fingerprint


def test_a_damaged_network_is_trained_again(cache, capsys):
    images = pictures()
    before = prepared(images)
    path_of(images).write_bytes(path_of(images).read_bytes()[:1000])
    assert prepared(images).fingerprint == before.fingerprint
    assert f"the feature extractor {path_of(images)} is damaged: it is trained again" in capsys.readouterr().err


def test_a_cache_that_cannot_be_written_is_told(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert prepared(pictures()).fingerprint
    assert "cannot store the feature extractor in" in capsys.readouterr().err


def test_other_processes_get_the_network_of_the_first(cache):
    sent = []
    first = prepared(pictures(), lambda make: sent.append(make()) or sent[0])
    other = prepared(pictures(), lambda make: sent[0])
    assert other.fingerprint == first.fingerprint


def test_it_learns_where_lightning_validates_and_draws_from_no_generator_of_others(cache):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    with torch.inference_mode():
        network = prepared(pictures())
    assert torch.equal(torch.get_rng_state(), before)
    assert not network.training
    assert not any(module.training for module in network.modules())
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_it_learns_from_as_many_images_as_it_may(cache, monkeypatch):
    monkeypatch.setattr(contrastive, "MOST_IMAGES", 10)
    images = pictures()
    assert len(contrastive.learnt_from(images)) == 10
    assert torch.equal(contrastive.learnt_from(images), contrastive.learnt_from(images))
    prepared(images)
    assert is_trained(images)


def test_views_are_crops_of_half_the_image_or_more_in_another_light():
    ramp = torch.linspace(-1, 1, 64).expand(500, 1, 64, 64)
    seen = views(ramp, torch.Generator().manual_seed(0))
    assert seen.shape == (500, 1, 32, 32)
    assert views(ramp[..., :16], torch.Generator().manual_seed(0)).shape == (500, 1, 32, 16)
    assert torch.equal(seen, views(ramp, torch.Generator().manual_seed(0)))
    assert (seen[:, :, :1] - seen).abs().max() < 1e-5  # rows of a horizontal ramp are alike in all crops
    reach = (seen[:, 0, 0, -1] - seen[:, 0, 0, 0]) / (ramp[0, 0, 0, -1] - ramp[0, 0, 0, 0])
    assert 0.6 * 0.5**0.5 * 0.9 < reach.min() < 0.6
    assert 1.1 < reach.max() < 1.4
    flat = views(torch.zeros(500, 1, 8, 8), torch.Generator().manual_seed(0))
    assert flat.amin() < -0.18
    assert 0.18 < flat.amax() <= 0.2


def test_nt_xent_by_hand():
    first, second = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([[3.0, 0.0], [0.0, 1.0]])
    alike, unlike = torch.tensor(1 / 0.2).exp(), torch.tensor(0.0).exp()
    assert nt_xent(first, second) == pytest.approx(float(-(alike / (alike + 2 * unlike)).log()))
    assert nt_xent(first, second.flip(0)) > nt_xent(first, second)


def shuffled_digits():
    digits = load_digits()
    order = torch.randperm(len(digits.images), generator=torch.Generator().manual_seed(0))
    images = torch.from_numpy(digits.images).mul(255 / 16).round().to(torch.uint8).unsqueeze(1)
    return images[order], torch.from_numpy(digits.target)[order]


def distance(network, real, fake):
    quality = Quality(network.num_features, None, 0, "cpu", 0)
    quality.update(network.extract(real).features, None, True)
    quality.update(network.extract(fake).features, None, False)
    return quality.compute().values["fid"]


@pytest.mark.full
def test_its_distance_grows_with_every_step_of_what_is_wrong(cache, monkeypatch):
    monkeypatch.setattr(contrastive, "STEPS", (150, 150))
    images, labels = shuffled_digits()
    known, held_out, kinds = images[:1200], images[1200:], labels[1200:]
    network = prepared(known)
    noise = torch.randn(held_out.shape, generator=torch.Generator().manual_seed(0))
    rotated, kept = held_out.flip(2), torch.arange(len(held_out)) / len(held_out)
    wrong = {
        "blur": [gaussian_blur(held_out, [5, 5], [sigma, sigma]) for sigma in (0.4, 0.6, 0.9)],
        "noise": [
            (held_out + 255 * sigma * noise).clamp(0, 255).round().to(torch.uint8) for sigma in (0.03, 0.06, 0.12)
        ],
        "modes": [held_out[kinds >= lowest] for lowest in (1, 3, 6)],
        "another data set": [
            torch.where((kept < share).view(-1, 1, 1, 1), rotated, held_out) for share in (0.1, 0.2, 0.5)
        ],
    }
    for what, sets in wrong.items():
        distances = [distance(network, known, fake) for fake in [held_out, *sets]]
        assert distances == sorted(set(distances)), (what, distances)


@pytest.mark.full
def test_views_of_one_picture_are_found_among_those_of_others(cache, monkeypatch):
    monkeypatch.setattr(contrastive, "STEPS", (100, 100))
    images, _ = shuffled_digits()
    generator = torch.Generator().manual_seed(1)
    pair = [views(contrastive.scaled(images[1500:1600]), generator) for _ in range(2)]

    def found(network):
        first, second = (
            functional.normalize(network.projection(network.maps(part)[-1].mean(dim=(2, 3)))) for part in pair
        )
        return float(((first @ second.T).argmax(dim=1) == torch.arange(100)).float().mean())

    assert found(ContrastiveFeatures((1, 8, 8))) < 0.4 < 0.5 < found(prepared(images[:1500]))
