import numpy as np
import torch

from lightning_models.drawing.figures import confusion_figure, curves_figure, percent


def test_a_confusion_matrix_grows_with_its_classes_and_takes_an_empty_class():
    small = confusion_figure(torch.tensor([[5, 1], [0, 0]]), ["cat", "dog"], "validation")
    large = confusion_figure(torch.arange(900).view(30, 30), [f"language {k}" for k in range(30)])
    assert large.width > 1.5 * small.width
    for picture in (small, large):
        assert np.asarray(picture).std() > 10  # something is drawn
    confusion_figure(torch.zeros(3, 3, dtype=torch.long), list("abc"))  # nothing was evaluated


def test_cells_never_claim_all_or_nothing():
    assert [percent(share) for share in (0.001, 0.5, 0.998, 1.0)] == ["<1%", "50%", ">99%", "100%"]


def test_each_quantity_has_a_panel():
    curve = ([1, 2, 3], [3.0, 2.0, 1.0])
    one = curves_figure({"loss": {"train": curve, "val": curve}})
    two = curves_figure({"loss": {"train": curve}, "accuracy": {"train": curve}})
    assert two.width == 2 * one.width
