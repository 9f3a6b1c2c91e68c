import json
from types import SimpleNamespace

import pytest
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from lightning_models.callbacks import publish_classifier as module
from lightning_models.callbacks.publish_classifier import PublishClassifier, accuracy, best_checkpoint
from lightning_models.feature_extractors.classifier import classifier_path


class Bright:
    """Class 1 for images that are brighter than 0, in the range that it was trained with."""

    image_shape, value_range, class_names = (1, 2, 2), (-1.0, 1.0), ["dark", "bright"]

    def __call__(self, images):
        assert images.min() >= -1
        assert images.max() <= 1
        brightness = images.mean(dim=(1, 2, 3))
        return torch.stack([-brightness, brightness], dim=1)


def images(*values):
    return torch.tensor(values, dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 2, 2)


def written(path, monitor, score=0.9):
    checkpoint = ModelCheckpoint(monitor=monitor)
    checkpoint.best_model_path = str(path)
    checkpoint.best_model_score = None if monitor is None else torch.tensor(score)
    return checkpoint


def test_accuracy_in_the_classifiers_range():
    assert accuracy(Bright(), images(0, 100, 200, 255), torch.tensor([0, 0, 1, 0])) == 0.75
    many = images(*[0] * 501)
    assert accuracy(Bright(), many, torch.cat([torch.zeros(500), torch.ones(1)])) == 500 / 501


def test_the_best_checkpoint_is_published_with_its_test_accuracy(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    opened = []
    monkeypatch.setattr(module, "load_classifier", lambda path: opened.append(path) or Bright())
    best, last = tmp_path / "best.ckpt", tmp_path / "last.ckpt"
    best.write_bytes(b"best")
    last.write_bytes(b"last")
    data = SimpleNamespace(
        train_images=images(0), train_labels=torch.tensor([1]), test_images=images(0, 255), test_labels=torch.ones(2)
    )
    checkpoints = [written(last, None), written(best, "val/accuracy"), ModelCheckpoint()]
    metrics = {"val/accuracy": torch.tensor(0.8)}  # of the last validation
    trainer = SimpleNamespace(
        is_global_zero=True, checkpoint_callbacks=checkpoints, datamodule=data, callback_metrics=metrics
    )
    PublishClassifier("shades").on_fit_end(SimpleNamespace(is_global_zero=False), None)
    assert opened == []
    PublishClassifier("shades").on_fit_end(trainer, None)
    assert opened == [best]
    assert classifier_path("shades").read_bytes() == b"best"
    facts = json.loads(classifier_path("shades").with_suffix(".json").read_text())
    assert (facts["accuracy"], facts["test_images"], facts["name"]) == (0.5, 2, "shades")
    assert facts["image_shape"] == [1, 2, 2]
    assert facts["value_range"] == [-1.0, 1.0]
    assert facts["classes"] == ["dark", "bright"]
    assert "50.00% of 2 test images correct" in capsys.readouterr().out


@pytest.mark.parametrize(("last_score", "expected"), [(0.9, "last"), (0.8, "best")])
def test_of_equal_validations_the_last_one_counts(last_score, expected):
    checkpoints = [written("best", "val/accuracy", 0.9), written("last", None)]
    metrics = {"val/accuracy": torch.tensor(last_score)}
    found = best_checkpoint(SimpleNamespace(checkpoint_callbacks=checkpoints, callback_metrics=metrics))
    assert str(found) == expected


def test_a_run_without_checkpoints_says_what_is_missing():
    with pytest.raises(ValueError, match="needs a checkpoint: do not set --trainer"):
        best_checkpoint(SimpleNamespace(checkpoint_callbacks=[ModelCheckpoint(monitor="val/accuracy")]))
