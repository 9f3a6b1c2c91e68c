import csv
from types import SimpleNamespace

import pytest
import torch
from pytorch_lightning.trainer.states import TrainerFn
from torchmetrics.classification import MulticlassConfusionMatrix

from lightning_models.callbacks import confusion as module
from lightning_models.callbacks.confusion import ConfusionMatrices


class Fit:
    """A trainer and a classifier whose validations are given; `drawn` has what was drawn, by name."""

    def __init__(self, tmp_path, monkeypatch, fn=TrainerFn.FITTING, **classifier):
        self.drawn = []
        monkeypatch.setattr(module, "confusion_figure", lambda *args: args)
        monkeypatch.setattr(module, "save_picture", lambda trainer, name, figure: self.drawn.append((name, *figure)))
        self.trainer = SimpleNamespace(
            is_global_zero=True,
            sanity_checking=False,
            current_epoch=3,
            state=SimpleNamespace(fn=fn),
            callback_metrics={},
            default_root_dir=tmp_path,
        )
        counts = MulticlassConfusionMatrix(2)
        self.classifier = SimpleNamespace(confusion=counts, class_names=["cat", "dog"], **classifier)

    def evaluate(self, callback, predicted, part="validation", **metrics):
        counts = self.classifier.confusion
        counts.update(torch.tensor(predicted), torch.tensor([0, 0, 1, 1]))
        getattr(callback, f"on_{part}_epoch_end")(self.trainer, self.classifier)
        counts.reset()  # as the module does
        self.trainer.callback_metrics = {name: torch.tensor(value) for name, value in metrics.items()}
        getattr(callback, f"on_{part}_end")(self.trainer, self.classifier)

    @property
    def names(self):
        return [name for name, *_ in self.drawn]


@pytest.mark.parametrize(
    ("part", "fn", "title"),
    [
        ("validation", TrainerFn.FITTING, "validation after epoch 4: 3 of 4 right (75.00%)"),
        ("validation", TrainerFn.VALIDATING, "validation: 3 of 4 right (75.00%)"),
        ("test", TrainerFn.TESTING, "test: 3 of 4 right (75.00%)"),
    ],
)
def test_the_title_says_what_was_evaluated_and_the_file_has_the_counts(tmp_path, monkeypatch, part, fn, title):
    fit = Fit(tmp_path, monkeypatch, fn)
    fit.evaluate(ConfusionMatrices(every_seconds=0), [0, 1, 1, 1], part)
    ((name, matrix, names, found),) = fit.drawn
    assert matrix.tolist() == [[1, 1], [0, 2]]  # a row a true class
    assert (name, names, found) == ("confusion_matrix", ["cat", "dog"], title)
    with (tmp_path / "confusion_matrix.csv").open() as file:
        assert list(csv.reader(file)) == [["true class", "cat", "dog"], ["cat", "1", "1"], ["dog", "0", "2"]]


def test_during_a_fit_it_is_drawn_now_and_then_and_at_the_end(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    fit, callback = Fit(tmp_path, monkeypatch), ConfusionMatrices(every_seconds=60)
    for seconds, drawn in ((0, 0), (59, 0), (60, 1), (61, 1), (119, 1), (120, 2)):
        now[0] = 100 + seconds
        fit.evaluate(callback, [0, 0, 0, seconds % 2])
        assert len(fit.drawn) == drawn, seconds
    fit.evaluate(callback, [1, 1, 1, 1])
    callback.on_train_end(fit.trainer, fit.classifier)
    assert len(fit.drawn) == 3
    assert fit.drawn[-1][1].tolist() == [[0, 2], [0, 2]]
    callback.on_train_end(fit.trainer, fit.classifier)  # nothing new
    assert len(fit.drawn) == 3


@pytest.mark.parametrize(("monitor", "best"), [("val/accuracy", 2), ("val/loss", 0)])
def test_the_best_validation_is_drawn_at_the_end_also_by_a_resumed_run(tmp_path, monkeypatch, monitor, best):
    fit, first, resumed = Fit(tmp_path, monkeypatch, monitor=monitor), ConfusionMatrices(), ConfusionMatrices()
    predictions = [[0, 0, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1], [1, 1, 0, 0]]
    for number, value in enumerate((0.2, 0.5, 0.8)):
        fit.evaluate(first, predictions[number], **{monitor: value})
    resumed.load_state_dict(first.state_dict())
    fit.evaluate(resumed, predictions[3], **{monitor: 0.4})
    assert fit.drawn == []
    resumed.on_train_end(fit.trainer, fit.classifier)
    assert fit.names == ["confusion_matrix", "confusion_matrix_best"]
    expected = MulticlassConfusionMatrix(2)
    expected.update(torch.tensor(predictions[best]), torch.tensor([0, 0, 1, 1]))
    assert torch.equal(fit.drawn[1][1], expected.compute())
    assert fit.drawn[1][3].startswith("validation after epoch 4: ")


def test_a_last_validation_that_is_the_best_is_drawn_once(tmp_path, monkeypatch):
    fit, callback = Fit(tmp_path, monkeypatch, monitor="val/accuracy"), ConfusionMatrices()
    figures = []
    monkeypatch.setattr(module, "confusion_figure", lambda *args: figures.append(args) or args)
    fit.evaluate(callback, [0, 0, 1, 0], **{"val/accuracy": 0.75})
    fit.evaluate(callback, [0, 0, 1, 1], **{"val/accuracy": 1.0})
    callback.on_train_end(fit.trainer, fit.classifier)
    assert len(figures) == 1
    assert fit.names == ["confusion_matrix", "confusion_matrix_best"]
    assert fit.drawn[0][1:] == fit.drawn[1][1:]


def test_nothing_is_written_for_other_models_by_other_processes_or_before_the_training(tmp_path, monkeypatch):
    fit, callback = Fit(tmp_path, monkeypatch, monitor="val/accuracy"), ConfusionMatrices(every_seconds=0)
    fit.trainer.sanity_checking = True
    fit.evaluate(callback, [0, 0, 1, 1], **{"val/accuracy": 1.0})
    fit.trainer.sanity_checking = False
    fit.trainer.is_global_zero = False
    fit.evaluate(callback, [0, 0, 1, 1], **{"val/accuracy": 1.0})
    callback.on_validation_epoch_end(fit.trainer, SimpleNamespace())
    callback.on_validation_end(fit.trainer, SimpleNamespace())
    callback.on_train_end(fit.trainer, fit.classifier)
    assert fit.drawn == []
    assert list(tmp_path.iterdir()) == []
