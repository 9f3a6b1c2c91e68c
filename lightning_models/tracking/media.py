"""Pictures, texts and tables of a run, in its folder and in Weights & Biases."""

import csv
from pathlib import Path
from typing import Any

from PIL.Image import Image
from pytorch_lightning import Trainer
from pytorch_lightning.loggers import WandbLogger

from lab.files import atomic_write


def save_picture(trainer: Trainer, name: str, image: Image, key: str | None = None) -> Path:
    """Write `samples/<name>.png` in the run folder and log it to W&B as `samples/<key or name>`.

    The step in W&B is that of the losses: the number of the last batch, from 0.
    """
    path = Path(trainer.default_root_dir) / "samples" / f"{name}.png"
    with atomic_write(path) as unfinished:
        image.save(unfinished, format="png")
    for logger in wandb_loggers(trainer):
        logger.log_image(f"samples/{key or name}", [image], step=last_batch(trainer))
    return path


def save_text(trainer: Trainer, name: str, text: str) -> Path:
    """Write `samples/<name>.txt` in the run folder."""
    path = Path(trainer.default_root_dir) / "samples" / f"{name}.txt"
    with atomic_write(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
    return path


def save_table(trainer: Trainer, name: str, columns: list[str], rows: list[list[Any]]) -> Path:
    """Write `<name>.csv` in the run folder and log the table to W&B as `name`."""
    path = write_table(trainer, name, columns, rows)
    for logger in wandb_loggers(trainer):
        text = [[str(cell) for cell in row] for row in rows]  # a column of a W&B table has one type
        logger.log_table(name, columns, text, step=last_batch(trainer))
    return path


def write_table(trainer: Trainer, name: str, columns: list[str], rows: list[list[Any]]) -> Path:
    """Write `<name>.csv` in the run folder."""
    path = Path(trainer.default_root_dir) / f"{name}.csv"
    with atomic_write(path) as unfinished, unfinished.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    return path


def wandb_loggers(trainer: Trainer) -> list[WandbLogger]:
    """The loggers of the trainer that write to W&B."""
    return [logger for logger in trainer.loggers if isinstance(logger, WandbLogger)]


def last_batch(trainer: Trainer) -> int:
    """The number of the last batch, from 0: the step at which its losses are logged."""
    return max(trainer.global_step - 1, 0)
