"""Report 3's question as a table: how far back do an RNN and an LSTM remember, and at which learning rate?

Every combination of cell, length, learning rate and seed is trained in this process, with the options of
configs/palindromes/*.yaml, until it is solved or --batches are over. A row of the output is one validation of one run;
runs that it holds already are left out, so that an interrupted table goes on.
"""

import argparse
import csv
import itertools
import logging
import statistics
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer, seed_everything
from pytorch_lightning.callbacks import EarlyStopping

from datamodules.palindromes import Palindromes
from lightning_models.figures import Curve, curves_figure
from lightning_models.sequence_classifier import SequenceClassifier

COLUMNS = ["cell", "length", "lr", "seed", "variant", "batch", "val_accuracy", "val_loss", "seconds"]
SOLVED = 0.999


class Rows(Callback):
    """A row of the table after each validation."""

    def __init__(self, path: Path, run: dict[str, Any]) -> None:
        self.path, self.run, self.started = path, run, time.perf_counter()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        metrics = trainer.callback_metrics
        with self.path.open("a", newline="") as file:
            seconds = round(time.perf_counter() - self.started, 1)
            measured = [trainer.global_step, *(round(metrics[f"val/{n}"].item(), 4) for n in ("accuracy", "loss"))]
            csv.writer(file).writerow([*self.run.values(), *measured, seconds])


def train(run: dict[str, Any], path: Path, batches: int, model: dict[str, Any], one_hot: bool, optimizer: str) -> None:
    seed_everything(run["seed"], verbose=False)
    data = Palindromes(run["length"], one_hot=one_hot)
    chosen = {"class_path": f"torch.optim.{optimizer}", "init_args": {"lr": run["lr"]}}
    classifier = SequenceClassifier(
        data.class_names, data.vocabulary, cell=run["cell"], hidden_size=128, optimizer=chosen, **model
    )
    solved = EarlyStopping("val/accuracy", mode="max", patience=10**9, stopping_threshold=SOLVED)
    trainer = Trainer(
        accelerator="cpu",
        max_steps=batches,
        val_check_interval=250,
        check_val_every_n_epoch=None,
        gradient_clip_val=10,
        callbacks=[Rows(path, run), solved],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(classifier, datamodule=data)


def read(path: Path) -> dict[tuple[str, ...], dict[str, list[tuple[int, float]]]]:
    """(variant, length, cell, lr) -> seed -> (batch, validation accuracy) of each validation."""
    curves: dict[tuple[str, ...], dict[str, list[tuple[int, float]]]] = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            key = (row["variant"], row["length"], row["cell"], row["lr"])
            point = (int(row["batch"]), float(row["val_accuracy"]))
            curves.setdefault(key, {}).setdefault(row["seed"], []).append(point)
    return curves


def print_table(path: Path) -> None:
    """The highest validation accuracy of each run: mean and standard deviation over seeds, and when they ended."""
    print("| variant | T | cell | learning rate | highest accuracy: mean, deviation | each seed | batches |")
    print("|---|---|---|---|---|---|---|")
    for (variant, length, cell, lr), seeds in read(path).items():
        best = [max(accuracy for _, accuracy in points) for points in seeds.values()]
        spread = f"{statistics.mean(best):.3f}" + (f", {statistics.stdev(best):.3f}" if len(best) > 1 else "")
        each, ends = ", ".join(f"{b:.3f}" for b in best), ", ".join(str(points[-1][0]) for points in seeds.values())
        print(f"| {variant} | {length} | {cell} | {lr} | {spread} | {each} | {ends} |")


def draw(path: Path, picture: Path) -> None:
    """The mean accuracy over seeds by batch, a panel for each length; what was solved stays so."""
    panels: dict[str, dict[str, Curve]] = {}
    for (variant, length, cell, lr), seeds in read(path).items():
        batches = sorted({batch for points in seeds.values() for batch, _ in points})
        means = []
        for batch in batches:
            reached = [[accuracy for at, accuracy in points if at <= batch] for points in seeds.values()]
            means.append(statistics.mean(accuracies[-1] for accuracies in reached if accuracies))
        name = f"{cell} {float(lr):g}" + ("" if variant == "report" else f" ({variant.replace('_', ' ')})")
        panels.setdefault(f"T = {length}", {})[name] = (batches, means)
    curves_figure(panels, x_label="batches").save(picture)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.palindromes", description=__doc__)
    parser.add_argument("--cells", nargs="+", default=["lstm", "rnn"])
    parser.add_argument("--lengths", nargs="+", type=int, default=[5, 10, 20, 30])
    parser.add_argument("--learning_rates", nargs="+", type=float, default=[1e-3, 1e-2, 1e-4])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--batches", type=int, default=5000, help="after which a run ends")
    parser.add_argument("--optimizer", default="RMSprop")
    parser.add_argument("--one_hot", action="store_true")
    parser.add_argument("--forget_bias", type=float, default=None)
    parser.add_argument("--variant", default="report", help="what the rows of these options are called")
    parser.add_argument("--figure", type=Path, default=None, help="draw the curves of --output here, and train nothing")
    parser.add_argument("--output", type=Path, default=Path("palindromes.csv"))
    given = parser.parse_args()
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")  # of Lightning, about logging intervals and checkpoints that are not asked for
    torch.set_num_threads(1)

    if given.figure is not None:
        print_table(given.output)
        draw(given.output, given.figure)
        return
    if not given.output.exists():
        given.output.write_text(",".join(COLUMNS) + "\n")
    with given.output.open(newline="") as file:
        done = {tuple(row[name] for name in COLUMNS[:5]) for row in csv.DictReader(file)}
    model = {} if given.forget_bias is None else {"forget_bias": given.forget_bias}
    for length, lr, cell, seed in itertools.product(given.lengths, given.learning_rates, given.cells, given.seeds):
        run = {"cell": cell, "length": length, "lr": lr, "seed": seed, "variant": given.variant}
        if tuple(map(str, run.values())) not in done:
            train(run, given.output, given.batches, model, given.one_hot, given.optimizer)
    print_table(given.output)


if __name__ == "__main__":
    main()
