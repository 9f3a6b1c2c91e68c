"""Distances, scores and histograms against closed forms and against numpy and scipy."""

import math

import numpy as np
import pytest
import scipy.linalg
import torch
from torchmetrics.image.kid import poly_mmd

from lightning_models.metrics.classes import ClassCoverage
from lightning_models.metrics.diversity import Diversity
from lightning_models.metrics.quality import (
    ClassifierScore,
    FrechetDistance,
    GivenFeatures,
    KernelDistance,
    Quality,
    unbiased_mmd,
)


def compared(metric, real, fake):
    metric.update(real, real=True)
    for part in torch.split(fake, 64):
        metric.update(part, real=False)
    return metric.compute()


def standardised(count, width):
    """Points whose mean is exactly 0 and whose covariance is exactly the identity."""
    points = np.random.default_rng(0).normal(size=(count, width))
    points -= points.mean(axis=0)
    return torch.from_numpy(points @ np.linalg.inv(np.linalg.cholesky(np.cov(points.T))).T)


def test_frechet_distance_of_two_gaussians():
    """|difference of means|^2 + sum of (difference of standard deviations)^2, for diagonal covariances."""
    points = standardised(200, 4)
    shift, scale = torch.tensor([1.0, -2.0, 0.5, 0.0]), torch.tensor([1.0, 3.0, 0.5, 2.0])
    expected = (shift.square() + (scale - 1).square()).sum().item()
    found = compared(FrechetDistance(GivenFeatures(4)), points, points * scale + shift).item()
    assert found == pytest.approx(expected, rel=1e-6)


def test_frechet_distance_against_scipy():
    random = np.random.default_rng(1)
    real = random.normal(size=(300, 10)) @ random.normal(size=(10, 10))
    fake = random.normal(size=(250, 10)) @ random.normal(size=(10, 10)) + 0.4
    product = scipy.linalg.sqrtm(np.cov(real.T) @ np.cov(fake.T)).real
    expected = np.sum((real.mean(0) - fake.mean(0)) ** 2) + np.trace(np.cov(real.T) + np.cov(fake.T) - 2 * product)
    found = compared(FrechetDistance(GivenFeatures(10)), torch.from_numpy(real), torch.from_numpy(fake)).item()
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("count", [200, 10])  # the second with a singular covariance
def test_frechet_distance_of_equal_sets_is_0(count):
    points = torch.randn(count, 32)
    assert 0 <= compared(FrechetDistance(GivenFeatures(32)), points, points).item() < 1e-4


def test_kernel_distance_against_its_definition():
    """The mean over subsets is close to the unbiased estimate of all images, within three standard errors."""
    random = np.random.default_rng(2)
    real, fake = random.normal(size=(400, 6)), random.normal(0.5, 1, size=(400, 6))

    def kernel(a, b):
        return (a @ b.T / a.shape[1] + 1) ** 3

    count = len(real)
    within = sum((kernel(x, x).sum() - np.trace(kernel(x, x))) / (count * (count - 1)) for x in (real, fake))
    expected = within - 2 * kernel(real, fake).mean()
    mean, std = compared(KernelDistance(GivenFeatures(6)), torch.from_numpy(real), torch.from_numpy(fake))
    assert abs(mean.item() - expected) < 3 * std.item() / math.sqrt(100) + 0.05 * expected
    assert expected > 0.5
    assert std > 0


def test_kernel_distance_equals_that_of_torchmetrics():
    """With one subset size of all images there is nothing random in it."""
    real, fake = torch.randn(2, 40, 6)
    assert unbiased_mmd(real, fake).item() == pytest.approx(poly_mmd(real, fake).item(), abs=1e-6)


def test_kernel_distance_is_unbiased():
    """Of equal distributions it is 0 on average, so it is negative for some samples."""
    found = [compared(KernelDistance(GivenFeatures(4)), *torch.randn(2, 60, 4))[0].item() for _ in range(30)]
    assert min(found) < 0 < max(found)
    assert abs(np.mean(found)) < 3 * np.std(found) / math.sqrt(30)


def test_kernel_distance_repeats_with_its_seed_and_leaves_the_random_state_alone():
    real, fake = torch.randn(2, 100, 4)
    before = torch.get_rng_state()
    found = [compared(KernelDistance(GivenFeatures(4), seed), real, fake)[0].item() for seed in (0, 0, 1)]
    assert found[0] == found[1] != found[2]
    assert torch.equal(torch.get_rng_state(), before)


def logits_of(labels, num_classes, sureness):
    return sureness * torch.nn.functional.one_hot(labels, num_classes).double()


def test_classifier_score():
    """10 for sure and evenly spread classes, 1 for a single class or an undecided classifier."""
    scores = {}
    for name, labels, sureness in (
        ("perfect", torch.arange(1000) % 10, 500.0),
        ("collapsed", torch.zeros(1000, dtype=torch.long), 500.0),
        ("undecided", torch.arange(1000) % 10, 0.0),
    ):
        metric = ClassifierScore(GivenFeatures(10))
        metric.update(logits_of(labels, 10, sureness))
        scores[name] = metric.compute()[0].item()
    assert scores["perfect"] == pytest.approx(10, rel=0.07)  # parts of 100 images are not spread quite evenly
    assert scores["collapsed"] == pytest.approx(1)
    assert scores["undecided"] == pytest.approx(1)


def class_coverage(real_counts, fake_counts):
    metric = ClassCoverage(len(real_counts))
    for counts, real in ((real_counts, True), (fake_counts, False)):
        labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
        metric.update(logits_of(labels, len(counts), 1.0), real=real)
    return {name: value.item() for name, value in metric.compute().items()}


@pytest.mark.parametrize(
    ("real", "fake", "modes", "kl"),
    [
        ([30] * 10, [50] * 10, 10, 0.0),
        ([30] * 10, [500] + [0] * 9, 1, math.log(10)),
        ([10, 20, 30], [30, 20, 10], 3, (30 * math.log(3) - 10 * math.log(3)) / 60),
        ([50, 50], [990, 10], 2, 0.99 * math.log(0.99 / 0.5) + 0.01 * math.log(0.01 / 0.5)),
        ([50, 50], [991, 9], 1, 0.991 * math.log(0.991 / 0.5) + 0.009 * math.log(0.009 / 0.5)),  # under 1 %
        ([100, 0], [0, 100], 1, math.log(200)),  # no real image counts as half of one
        ([1] * 200, [1] * 150 + [0] * 50, 150, math.log(200 / 150)),  # of many classes one image is enough
    ],
)
def test_classes_that_are_reached(real, fake, modes, kl):
    assert class_coverage(real, fake) == {"modes": modes, "class_kl": pytest.approx(kl, abs=1e-6)}


def test_diversity_is_the_ratio_of_distances_over_all_pairs():
    real, fake = torch.randn(50, 7) * 2 + 100, torch.randn(40, 7)
    expected = torch.pdist(fake).square().mean().sqrt() / torch.pdist(real).square().mean().sqrt()
    assert compared(Diversity(7), real, fake).item() == pytest.approx(expected.item(), rel=1e-4)
    assert compared(Diversity(7), real, real).item() == pytest.approx(1)
    assert compared(Diversity(7), real, real[:1].repeat(9, 1)).item() == 0


def quality_of(real, fake, logits=None):
    quality = Quality(real.shape[1], None if logits is None else logits.shape[1])
    quality.update(real, logits, real=True)
    quality.update(fake, logits, real=False)
    return quality


TWO_SAMPLE = {"fid", "kid", "kid_std", "precision", "recall", "density", "coverage", "diversity"}
BY_CLASS = {"modes", "class_kl", "classifier_score", "classifier_score_std"}


def test_all_measures_together():
    labels = logits_of(torch.arange(200) % 5, 5, 10.0)
    quality = quality_of(torch.randn(200, 8), torch.randn(200, 8), labels)
    quality.update_neighbours(torch.randn(100, 8), torch.randn(100, 8))
    measured = quality.compute()
    assert set(measured.values) == TWO_SAMPLE | BY_CLASS | {"memorization"}
    assert not measured.problems
    assert measured.values["modes"] == 5


def test_what_cannot_be_measured_is_said_and_the_rest_is_there():
    labels = logits_of(torch.arange(5), 5, 10.0)
    quality = quality_of(torch.randn(5, 8), torch.randn(5, 8), labels)
    measured = quality.compute()
    assert set(measured.values) == TWO_SAMPLE - {"density", "coverage"} | {"modes", "class_kl"}
    assert [problem.partition(":")[0] for problem in measured.problems] == ["density", "classifier_score"]
    assert "need at least 6 real images, found 5" in measured.problems[0]


def test_a_single_image():
    measured = quality_of(torch.randn(50, 8), torch.randn(1, 8)).compute()
    assert measured.values == {}
    assert [problem.partition(":")[0] for problem in measured.problems] == [
        "fid",
        "kid",
        "precision",
        "density",
        "diversity",
    ]
    assert "at least 2 generated images, found 1" in measured.problems[0]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_features_that_are_not_finite_are_refused(value):
    features = torch.randn(20, 8)
    features[3, 2] = value
    with pytest.raises(ValueError, match="1 of 20 generated images have features that are NaN or infinite"):
        quality_of(torch.randn(20, 8), features)


def test_the_seed_reaches_every_measure_that_is_random():
    features, logits = torch.randn(2, 100, 4), torch.randn(2, 100, 10)
    found = []
    for seed in (0, 1):
        quality = Quality(4, 10, seed)
        for real in (True, False):
            quality.update(features[int(real)], logits[int(real)], real)
        found.append(quality.compute().values)
    differ = {name for name in found[0] if found[0][name] != found[1][name]}
    assert differ == {"kid", "kid_std", "classifier_score", "classifier_score_std"}


def test_each_measure_gets_the_images_that_it_is_about():
    """Scores and memorization are of generated images alone; training and held-out images have places of their own."""
    quality = Quality(1, 2)
    real, fake = torch.arange(40.0)[:, None], 0.5 + torch.arange(40.0)[:, None]
    undecided, sure = torch.zeros(40, 2), 100.0 * torch.nn.functional.one_hot(torch.arange(40) % 2, 2)
    quality.update(real, undecided, real=True)
    quality.update(fake, sure, real=False)
    quality.update_neighbours(real, fake.repeat(2, 1) - 0.25)
    values = quality.compute().values
    assert values["classifier_score"] > 1.5
    assert values["modes"] == 2
    assert values["memorization"] == pytest.approx(0.5 / 0.25)


@pytest.mark.parametrize(("classes", "modes"), [(100, 1), (101, 101)])
def test_up_to_100_classes_need_one_image_in_a_hundred(classes, modes):
    assert class_coverage([1] * classes, [1000] + [1] * (classes - 1))["modes"] == modes


@pytest.mark.parametrize(
    ("asked", "classes", "intra", "agreement"),
    [
        (0, 10, False, False),
        (10, 10, True, True),
        (10, 5, True, False),
        (100, 10, True, False),
        (101, 101, False, True),
    ],
)
def test_measures_by_class_need_a_conditional_model_and_its_classifier(asked, classes, intra, agreement):
    quality = Quality(4, classes, asked_classes=asked)
    assert (quality.intra is not None, quality.agreement is not None) == (intra, agreement)


def test_the_spread_of_the_kernel_distance_is_that_of_its_subsets():
    real, fake = torch.randn(2, 40, 4)
    metric = KernelDistance(GivenFeatures(4), seed=3)
    mean, std = compared(metric, real, fake)
    generator, found = torch.Generator().manual_seed(3), []
    for _ in range(100):
        halves = [side[torch.randperm(40, generator=generator)[:20]] for side in (real, fake)]
        found.append(unbiased_mmd(*halves))
    expected = torch.stack(found)
    assert (mean.item(), std.item()) == pytest.approx((expected.mean().item(), expected.std(correction=0).item()))


def test_the_spread_of_the_classifier_score_is_that_of_ten_parts():
    logits = torch.randn(100, 5)
    metric = ClassifierScore(GivenFeatures(5), seed=3)
    metric.update(logits)
    order = torch.randperm(100, generator=torch.Generator().manual_seed(3))
    scores = []
    for part in torch.chunk(logits[order].double(), 10):
        share = part.softmax(dim=1)
        scores.append((share * (share / share.mean(dim=0)).log()).sum(dim=1).mean().exp())
    mean, std = metric.compute()
    assert (mean.item(), std.item()) == pytest.approx(
        (torch.stack(scores).mean().item(), torch.stack(scores).std().item())
    )
