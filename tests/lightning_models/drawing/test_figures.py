import numpy as np
import pytest
import torch

from lightning_models.drawing import figures
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


@pytest.fixture
def drawn(monkeypatch):
    """The figures that would be rendered."""
    made = []
    monkeypatch.setattr(figures, "to_image", made.append)
    return made


def test_rows_of_a_confusion_matrix_are_true_classes(drawn):
    confusion_figure(torch.tensor([[6, 2], [0, 4]]), ["cat", "dog"], "a title")
    counts, shares = drawn[0].axes
    for axes in (counts, shares):
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "true")
        names = [[label.get_text() for label in axis.get_ticklabels()] for axis in (axes.xaxis, axes.yaxis)]
        assert names == [["cat", "dog"]] * 2
    assert counts.images[0].get_array().tolist() == [[6, 2], [0, 4]]
    assert shares.images[0].get_array().tolist() == [[0.75, 0.25], [0.0, 1.0]]  # of the true class
    assert shares.images[0].get_clim() == (0, 1)
    for axes, texts in ((counts, ("6", "2", "4")), (shares, ("75%", "25%", "100%"))):
        cells = {(text.get_position(), text.get_text()) for text in axes.texts}
        assert cells == set(zip([(0, 0), (1, 0), (1, 1)], texts, strict=True))  # (column, row); none for no image
    assert [text.get_text() for text in drawn[0].texts] == ["a title"]


def test_numbers_are_readable_and_left_out_where_they_would_not_be(drawn):
    confusion_figure(torch.tensor([[10, 5], [6, 4]]), ["a", "b"])
    colours = {text.get_text(): text.get_color() for text in drawn[0].axes[0].texts}
    assert colours == {"10": "white", "5": "black", "6": "white", "4": "black"}
    for classes, count in ((20, 400), (21, 0)):
        confusion_figure(torch.ones(classes, classes, dtype=torch.long), [str(k) for k in range(classes)])
        assert len(drawn[-1].axes[0].texts) == count


def test_curves_are_drawn_over_their_epochs(drawn):
    curves_figure({"loss": {"train": ([1, 2], [3.0, 2.5]), "val": ([2], [4.0])}, "accuracy": {"val": ([2], [0.5])}})
    loss, accuracy = drawn[0].axes
    found = {line.get_label(): (line.get_xdata().tolist(), line.get_ydata().tolist()) for line in loss.lines}
    assert found == {"train": ([1, 2], [3.0, 2.5]), "val": ([2], [4.0])}
    assert (loss.get_title(), loss.get_xlabel(), accuracy.get_title()) == ("loss", "epoch", "accuracy")


@pytest.mark.parametrize(("epochs", "marker"), [(29, "o"), (30, "None")])
def test_points_are_marked_on_short_curves(drawn, epochs, marker):
    curves_figure({"loss": {"train": (list(range(epochs)), [1.0] * epochs)}})
    assert drawn[0].axes[0].lines[0].get_marker() == marker
