"""Against known point sets, and against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from lightning_models.metrics import neighbours
from lightning_models.metrics.neighbours import DensityCoverage, Memorization, PrecisionRecall


def compared(metric, real, fake, batch=50):
    for side, is_real in ((real, True), (fake, False)):
        for part in torch.split(side, batch):
            metric.update(part, real=is_real)
    return {name: value.item() for name, value in metric.compute().items()}


def line(*values):
    return torch.tensor(values, dtype=torch.float32).unsqueeze(1)


def test_equal_sets_have_precision_recall_density_and_coverage_1():
    points = torch.randn(300, 16)
    assert compared(PrecisionRecall(), points, points) == {"precision": 1, "recall": 1}
    assert compared(DensityCoverage(), points, points) == {"density": pytest.approx(1), "coverage": 1}


def test_sets_far_apart_have_none_of_them():
    points = torch.randn(300, 16)
    assert compared(PrecisionRecall(), points, points + 100) == {"precision": 0, "recall": 0}
    assert compared(DensityCoverage(), points, points + 100) == {"density": 0, "coverage": 0}


def test_points_on_a_line():
    """Real points 0, 1, 2, 3, each with a neighbour at distance 1; generated points 0.5, 0.75 and 10."""
    real, fake = line(0, 1, 2, 3), line(0.5, 0.75, 10)
    # 0.5 and 0.75 lie among the real ones, 10 does not; their balls reach 0.25 to 1, that of 10 reaches 0.75.
    assert compared(PrecisionRecall(k=1), real, fake) == {"precision": pytest.approx(2 / 3), "recall": 0.75}
    # 0.5 lies in the balls of 0 and 1, so does 0.75; nothing lies within 1 of 2 or 3.
    assert compared(DensityCoverage(k=1), real, fake) == {"density": pytest.approx(4 / 3), "coverage": 0.5}


def test_collapse_keeps_precision_and_loses_recall_and_coverage():
    real = torch.randn(400, 8)
    fake = real[:1].repeat(400, 1)
    manifold, counts = compared(PrecisionRecall(), real, fake), compared(DensityCoverage(), real, fake)
    assert manifold["precision"] == 1
    assert manifold["recall"] == pytest.approx(1 / 400)  # the one that is copied
    assert counts["coverage"] < 0.05


def test_duplicates_are_at_distance_exactly_0():
    points = torch.randn(5, 64) * 1e-3 + 1000
    _, distances = next(neighbours.squared_distances(points.repeat(2, 1), points))
    assert torch.equal(distances == 0, torch.eye(5, dtype=torch.bool).repeat(2, 1))


@pytest.mark.parametrize("distances_at_once", [1, 5_000, 10**9])
def test_against_scikit_learn(monkeypatch, distances_at_once):
    monkeypatch.setattr(neighbours, "DISTANCES_AT_ONCE", distances_at_once)
    random = np.random.default_rng(0)
    real, fake = random.normal(size=(230, 12)), random.normal(0.3, 0.8, size=(170, 12))

    def radii(points, k):
        return NearestNeighbors(n_neighbors=k + 1).fit(points).kneighbors(points)[0][:, k]

    def distances(a, b):
        return np.linalg.norm(a[:, None] - b[None], axis=2)

    across = distances(fake, real)
    expected = {
        "precision": (across <= radii(real, 3)).any(axis=1).mean(),
        "recall": (across <= radii(fake, 3)[:, None]).any(axis=0).mean(),
        "density": (across < radii(real, 5)).sum() / 5 / 170,
        "coverage": (across.min(axis=0) < radii(real, 5)).mean(),
    }
    real, fake = torch.from_numpy(real), torch.from_numpy(fake)
    found = compared(PrecisionRecall(), real, fake) | compared(DensityCoverage(), real, fake)
    assert found == pytest.approx(expected)
    assert 0.05 < expected["recall"] < expected["precision"] < 0.999  # the case is no corner case


@pytest.mark.parametrize(("metric", "k"), [(PrecisionRecall(), 3), (DensityCoverage(), 5)])
def test_too_few_images_are_named(metric, k):
    metric.update(torch.randn(20, 4), real=True)
    metric.update(torch.randn(k, 4), real=False)
    with pytest.raises(ValueError, match=f"need at least {k + 1} generated images, found {k}"):
        metric.compute()
    metric.update(torch.randn(1, 4), real=False)
    assert set(metric.compute()) <= {"precision", "recall", "density", "coverage"}


def test_only_so_many_images_are_compared():
    metric = PrecisionRecall(limit=10)
    points = torch.randn(30, 4)
    assert compared(metric, points, points) == {"precision": 1, "recall": 1}
    assert [len(side) for side in metric.sides()] == [10, 10]


def memorization(known, held_out, generated):
    metric = Memorization()
    metric.update(known[:1], "known")
    for part, features in (("known", known[1:]), ("held_out", held_out), ("generated", generated)):
        metric.update(features, part)
    return metric.compute().item()


def test_memorization():
    known = torch.randn(500, 8)
    assert memorization(known, torch.randn(500, 8), known[:100]) == 0
    assert memorization(known, torch.randn(500, 8), torch.randn(500, 8)) == pytest.approx(1, abs=0.1)
    assert memorization(line(0, 10), line(2, 7, 12), line(1, 10.5)) == pytest.approx(0.5 / 2)  # torch's lower median
    with pytest.raises(ValueError, match="more than half of the held-out images are training images"):
        memorization(known, known[:3], known)
    metric = Memorization()
    metric.update(known, "generated")
    with pytest.raises(ValueError, match="needs training images, found none"):
        metric.compute()


def test_only_so_many_images_are_compared_with_all_training_images():
    metric = Memorization(limit=2)
    for features, part in (
        (line(0, 10, 20, 30), "known"),
        (line(1, 11, 29, 21, 21), "held_out"),  # the first two at 1
        (line(32, 18, 10, 10, 10), "generated"),  # at 2; those beyond the limit are copies
    ):
        metric.update(features, part)
    assert metric.compute().item() == pytest.approx(2.0)
