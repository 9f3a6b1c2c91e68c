import pytest
import torch
import torchmetrics

from lightning_models.image_classifier import ImageClassifier
from lightning_models.metrics.means import WeightedMeans, keep_sums_of_all_processes


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


def test_a_checkpoint_holds_the_sums_of_all_processes_and_the_first_goes_on_with_them(as_process, monkeypatch):
    model = torch.nn.Module()
    model.means = WeightedMeans(("a",))
    model.means.update((torch.tensor(1.0),), 10)
    of_others = iter([torch.tensor([90.0]), torch.tensor(30)])  # sums and weight
    monkeypatch.setattr(torchmetrics.metric, "gather_all_tensors", lambda own, group: [own, next(of_others)])
    as_process(0, 2)
    kept = model.state_dict()
    keep_sums_of_all_processes(model, kept)
    assert kept == {"means.sums": torch.tensor([100.0]), "means.weight": torch.tensor(40)}
    assert (model.means.sums.item(), model.means.weight.item()) == (10, 10)  # goes on with its own

    for rank, expected in ((0, (100, 40)), (1, (0, 0))):
        as_process(rank, 2)
        model.load_state_dict(dict(kept))
        assert (model.means.sums.item(), model.means.weight.item()) == expected


def test_checkpoints_of_a_model_hold_the_sums_of_all_processes(as_process, monkeypatch):
    model = ImageClassifier((1, 2, 2), ["a", "b"])
    model.training_means.update((torch.tensor(1.0),) * 3, 10)
    monkeypatch.setattr(torchmetrics.metric, "gather_all_tensors", lambda own, group: [own, own])
    as_process(0, 2)
    checkpoint = {"state_dict": model.state_dict()}
    model.on_save_checkpoint(checkpoint)
    assert checkpoint["state_dict"]["training_means.weight"] == 20
    assert checkpoint["model_class"] == "lightning_models.image_classifier.ImageClassifier"
