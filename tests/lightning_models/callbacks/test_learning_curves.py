from types import SimpleNamespace

from lightning_models.callbacks import learning_curves as module
from lightning_models.callbacks.learning_curves import LearningCurves, read_curves

ROWS = """epoch,step,train/loss,val/loss,train/cross_entropy,val/accuracy
0,3,3.0,,2.5,
0,5,,2.0,,0.25
1,8,1.0,,0.5,
1,10,,1.5,,0.75
"""


def test_training_and_validation_over_epochs_from_1(tmp_path):
    (tmp_path / "metrics.csv").write_text(ROWS)
    assert read_curves(tmp_path / "metrics.csv", ["loss", "accuracy", "nothing"]) == {
        "loss": {"train": ((1, 2), (3.0, 1.0)), "val": ((1, 2), (2.0, 1.5))},
        "accuracy": {"val": ((1, 2), (0.25, 0.75))},
    }


def test_a_cross_entropy_that_is_the_loss_is_not_drawn_twice(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text(ROWS)
    assert set(read_curves(path, ["loss", "cross_entropy"])) == {"loss", "cross_entropy"}  # something was added to it
    path.write_text("epoch,train/loss,train/cross_entropy\n0,2.0,2.0\n")
    assert set(read_curves(path, ["loss", "cross_entropy"])) == {"loss"}


def test_the_quantities_asked_for_are_drawn_by_the_first_process(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(module, "curves_figure", list)
    monkeypatch.setattr(module, "save_picture", lambda trainer, name, panels: written.append((name, panels)))
    first, second = (SimpleNamespace(default_root_dir=str(tmp_path), is_global_zero=zero) for zero in (True, False))
    LearningCurves().on_train_end(first, None)  # no file
    (tmp_path / "metrics.csv").write_text(ROWS)
    for trainer in (first, second):
        LearningCurves(["accuracy"]).on_train_end(trainer, None)
        LearningCurves(["nothing"]).on_train_end(trainer, None)
    assert written == [("learning_curves", ["accuracy"])]
