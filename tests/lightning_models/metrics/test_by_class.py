import pytest
import torch

from lab.errors import UserError
from lightning_models.metrics.by_class import ClassAgreement, IntraClassDistance, frechet_distance
from lightning_models.metrics.quality import FrechetDistance, GivenFeatures, Quality


def features(count, mean=0.0, size=6, seed=0):
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed)) + mean


@pytest.mark.parametrize(("count", "size"), [(200, 6), (5, 40)])
def test_the_distance_is_that_of_all_images(count, size):
    one, other = features(count, size=size), 1.5 * features(count + 3, 0.3, size, seed=1)
    metric = FrechetDistance(GivenFeatures(size))
    metric.update(one, real=True)
    metric.update(other, real=False)
    assert frechet_distance(one, other).item() == pytest.approx(metric.compute().item(), rel=1e-3)
    assert frechet_distance(one, one).item() == pytest.approx(0, abs=1e-9)


def test_the_distance_within_classes_is_the_mean_over_them():
    metric = IntraClassDistance()
    labels = torch.tensor([0, 1, 2]).repeat(50)
    real = features(150) + 5 * labels.unsqueeze(1)
    metric.update(real, labels, real=True)
    metric.update(real[:75], labels[:75], real=False)
    metric.update(real[75:] + 1.0, labels[75:], real=False)
    sides = [(real[labels == k], torch.cat([real[:75], real[75:] + 1])[labels == k]) for k in range(3)]
    expected = torch.stack([frechet_distance(*side) for side in sides]).mean()
    assert metric.compute().item() == pytest.approx(expected.item())


def test_classes_that_were_mixed_up_are_far_within_and_near_over_all():
    labels = torch.tensor([0, 1]).repeat(100)
    real = features(200) + 5 * labels.unsqueeze(1)
    quality = Quality(6, 2, asked_classes=2)
    logits = torch.stack([2.5 - real.mean(dim=1), real.mean(dim=1) - 2.5], dim=1)
    quality.update(real, logits, real=True, labels=labels)
    quality.update(real, logits, real=False, labels=1 - labels)
    values = quality.compute().values
    assert values["fid"] == pytest.approx(0, abs=1e-3)
    assert values["intra_fid"] > 100
    assert values["class_agreement"] == 0


def test_agreement_counts_what_was_asked_for():
    metric = ClassAgreement()
    metric.update(torch.eye(4), torch.tensor([0, 1, 2, 0]))
    metric.update(torch.eye(4)[:2], torch.tensor([1, 1]))
    assert metric.compute().item() == pytest.approx(4 / 6)


@pytest.mark.filterwarnings("ignore:The ``compute`` method of metric")
def test_nothing_to_measure_is_an_error():
    with pytest.raises(UserError, match="needs generated images, found none"):
        ClassAgreement().compute()
    with pytest.raises(UserError, match="need real and generated images, found none"):
        IntraClassDistance().compute()


def test_a_class_with_one_sample_is_named():
    metric = IntraClassDistance()
    metric.update(features(6), torch.tensor([0, 0, 0, 7, 7, 7]), real=True)
    metric.update(features(4), torch.tensor([0, 0, 0, 7]), real=False)
    with pytest.raises(UserError, match="found 3 real and 1 generated ones of class 7: give more"):
        metric.compute()


def test_unconditional_samples_have_no_measures_by_class_and_many_classes_no_distance():
    logits, labels = torch.eye(2)[torch.arange(40) % 2], torch.arange(40) % 2
    for asked, names in ((0, set()), (2, {"intra_fid", "class_agreement"}), (3, {"intra_fid"}), (101, set())):
        quality = Quality(6, 2, asked_classes=asked)
        for real in (True, False):
            quality.update(features(40), logits, real, labels)
        assert {"intra_fid", "class_agreement"} & quality.compute().values.keys() == names, asked


def test_two_images_a_class_are_enough():
    metric = IntraClassDistance()
    for real in (True, False):
        metric.update(features(4), torch.tensor([0, 0, 1, 1]), real=real)
    assert metric.compute().item() == pytest.approx(0, abs=1e-6)
