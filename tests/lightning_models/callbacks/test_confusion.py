from types import SimpleNamespace

import pytest
import torch
from pytorch_lightning.trainer.states import TrainerFn
from torchmetrics.classification import MulticlassConfusionMatrix

from lightning_models.callbacks import confusion as module
from lightning_models.callbacks.confusion import ConfusionMatrices


@pytest.mark.parametrize(
    ("hook", "fn", "title"),
    [
        ("on_validation_epoch_end", TrainerFn.FITTING, "validation after epoch 4: 3 of 4 right (75.00%)"),
        ("on_validation_epoch_end", TrainerFn.VALIDATING, "validation: 3 of 4 right (75.00%)"),
        ("on_test_epoch_end", TrainerFn.TESTING, "test: 3 of 4 right (75.00%)"),
    ],
)
def test_the_title_says_what_was_evaluated(monkeypatch, hook, fn, title):
    drawn, written = [], []
    monkeypatch.setattr(module, "confusion_figure", lambda *args: drawn.append(args) or "picture")
    monkeypatch.setattr(module, "save_picture", lambda trainer, *args: written.append(args))
    counts = MulticlassConfusionMatrix(2)
    counts.update(torch.tensor([0, 1, 1, 1]), torch.tensor([0, 0, 1, 1]))
    classifier = SimpleNamespace(confusion=counts, class_names=["cat", "dog"])
    for is_first in (True, False):
        trainer = SimpleNamespace(is_global_zero=is_first, current_epoch=3, state=SimpleNamespace(fn=fn))
        getattr(ConfusionMatrices(), hook)(trainer, classifier)
        getattr(ConfusionMatrices(), hook)(trainer, SimpleNamespace())  # another model
    ((matrix, names, found),) = drawn
    assert matrix.tolist() == [[1, 1], [0, 2]]  # a row a true class
    assert (names, found) == (["cat", "dog"], title)
    assert written == [("confusion_matrix", "picture")]
