import pytest
import torch

from lightning_models.metrics.means import WeightedMeans


def test_each_item_weighs_alike():
    means = WeightedMeans(("a", "b"))
    means.update((torch.tensor(1.0), torch.tensor(4.0)), 3)
    means.update((torch.tensor(5.0), torch.tensor(0.0)), 1)
    assert {name: value.item() for name, value in means.compute().items()} == {"a": 2.0, "b": 3.0}


def test_the_sums_travel_with_a_checkpoint_and_carry_no_graph():
    means = WeightedMeans(("a",))
    means.update((torch.tensor(2.0, requires_grad=True),), 2)
    other = WeightedMeans(("a",))
    other.load_state_dict(means.state_dict())
    other.update((torch.tensor(5.0),), 1)
    assert other.compute()["a"].item() == pytest.approx(3.0)
    assert not means.sums.requires_grad


def test_reset():
    means = WeightedMeans(("a",))
    means.update((torch.tensor(2.0),), 2)
    means.reset()
    means.update((torch.tensor(7.0),), 2)
    assert means.compute()["a"].item() == 7.0
