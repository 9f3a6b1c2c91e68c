"""The learning curves of a run as a figure."""

import csv
from collections.abc import Sequence
from pathlib import Path

from pytorch_lightning import Callback, LightningModule, Trainer

from lightning_models.drawing.figures import Curve, curves_figure
from lightning_models.tracking.media import save_picture


class LearningCurves(Callback):
    """Writes `samples/learning_curves.png` at the end of a fit: training against validation, epoch by epoch.

    They are drawn from metrics.csv and so of all parts of a resumed run.

    Args:
        quantities: names of the panels: X shows `train/X` and `val/X`.
    """

    def __init__(self, quantities: Sequence[str] = ("loss", "cross_entropy", "accuracy")) -> None:
        self.quantities = quantities

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        path = Path(trainer.default_root_dir) / "metrics.csv"
        if not trainer.is_global_zero or not path.is_file():
            return
        panels = read_curves(path, self.quantities)
        if panels:
            save_picture(trainer, "learning_curves", curves_figure(panels))


def read_curves(path: Path, quantities: Sequence[str]) -> dict[str, dict[str, Curve]]:
    """The curves of each quantity in the file: {quantity: {"train" or "val": (epochs from 1, values)}}."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    panels: dict[str, dict[str, Curve]] = {}
    for quantity in quantities:
        for part in ("train", "val"):
            points = [(int(row["epoch"]) + 1, float(row[key])) for row in rows if row.get(key := f"{part}/{quantity}")]
            if points:
                epochs, values = zip(*points, strict=True)
                panels.setdefault(quantity, {})[part] = (epochs, values)
    if panels.get("loss") == panels.get("cross_entropy"):
        panels.pop("cross_entropy", None)  # nothing was added to it
    return panels
