"""Pictures of generated images during training."""

from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from lab.errors import UserError
from lab.files import atomic_write
from lightning_models.drawing.pictures import save_animation, to_picture
from lightning_models.modules.batch_counting import batches_before
from lightning_models.modules.checks import check_at_least
from lightning_models.modules.image_generator import ImageGenerator, evenly_spread
from lightning_models.modules.latent import InterpolationMode
from lightning_models.modules.schedules import total_batches
from lightning_models.tracking.media import save_picture

ROWS_OF_CLASSES = 20  # in a grid of a conditional model, at most, unless it has more rows
FRAMES = 100  # of the animation, at most


class ImageSamples(Callback):
    """Writes grids, a strip of progress and an interpolation to `samples/` and to W&B.

    A grid is written at the start, at the chosen interval, half-way and at the end, always of the same latent vectors;
    the strip has a row of images for each epoch; the interpolation and an animation of the strip are made at the end.
    Grids of a conditional model have a row for each class, or for some of many classes, evenly spread. Training is not
    affected: the latent vectors come from a generator of their own. Nothing is written for models that generate no
    images.

    Args:
        grid: rows and columns of a grid.
        every_n_epochs: epochs between two grids; 0: only at the start, half-way and at the end.
        every_n_batches: batches between two grids, instead of epochs.
        progress_columns: images in a row of the strip of progress; 0: no strip.
        progress_rows: largest number of rows of that strip; of a longer run it shows evenly spread epochs.
        interpolation_steps: images of the interpolation, both ends included; 0: none.
        interpolation_mode: `linear`, along a straight line, or `spherical`, along a great circle.
        seed: of the latent vectors.

    Raises:
        UserError: for a number out of its range.
    """

    def __init__(
        self,
        grid: int = 8,
        every_n_epochs: int = 1,
        every_n_batches: int | None = None,
        progress_columns: int = 10,
        progress_rows: int = 30,
        interpolation_steps: int = 9,
        interpolation_mode: InterpolationMode = "spherical",
        seed: int = 0,
    ) -> None:
        check_at_least("samples.grid", grid, 1)
        check_at_least("samples.every_n_epochs", every_n_epochs, 0)
        check_at_least("samples.progress_columns", progress_columns, 0)
        check_at_least("samples.progress_rows", progress_rows, 1)
        if interpolation_steps < 0 or interpolation_steps == 1:
            raise UserError(
                f"samples.interpolation_steps is {interpolation_steps}: expected 0 for no interpolation, or at least 2"
            )
        self.grid, self.every_n_epochs, self.every_n_batches = grid, every_n_epochs, every_n_batches
        self.progress_columns, self.progress_rows, self.seed = progress_columns, progress_rows, seed
        self.interpolation_steps, self.interpolation_mode = interpolation_steps, interpolation_mode
        self.progress: list[Tensor] = []  # a row for each epoch: (progress_columns, C, H, W) uint8
        self.last_grid_step = -1

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The grid of an untrained model."""
        if trainer.global_step == 0:
            self.write_grid(trainer, pl_module)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        """Grids at an interval of batches, and half-way."""
        is_due = self.every_n_batches and (batches_before(trainer) + 1) % self.every_n_batches == 0
        if is_due or trainer.global_step == half_of_training(trainer):
            self.write_grid(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """A grid where one is due, and a row of the strip."""
        by_epochs = self.every_n_epochs > 0 and self.every_n_batches is None
        if by_epochs and (trainer.current_epoch + 1) % self.every_n_epochs == 0:
            self.write_grid(trainer, pl_module)
        if self.progress_columns and isinstance(pl_module, ImageGenerator) and trainer.is_global_zero:
            images = pl_module.sample(self.progress_columns, self.seed)
            self.progress.append((images.clamp(0, 1) * 255).round().to(torch.uint8))
            if self.last_grid_step == trainer.global_step:
                self.write_progress(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The last grid, the progress and the interpolation."""
        self.write_grid(trainer, pl_module)
        self.write_progress(trainer)
        self.write_animation(trainer)
        if self.interpolation_steps and isinstance(pl_module, ImageGenerator) and trainer.is_global_zero:
            images = pl_module.interpolation(self.interpolation_steps, self.seed, self.interpolation_mode)
            save_picture(trainer, "interpolation", to_picture(images, self.interpolation_steps))

    def write_grid(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write `samples/grid-<global step>.png`, unless there is one of this step."""
        if not isinstance(pl_module, ImageGenerator) or not trainer.is_global_zero:
            return
        if trainer.global_step == self.last_grid_step:
            return
        self.last_grid_step = trainer.global_step
        names, labels, count = pl_module.class_names, None, self.grid**2
        rows: list[str] = []
        if names is not None:  # a row for each class
            shown = evenly_spread(len(names), max(self.grid, ROWS_OF_CLASSES))
            rows, labels = [str(names[number]) for number in shown], torch.tensor(shown).repeat_interleave(self.grid)
            count = len(labels)
        images = pl_module.sample(count, self.seed, labels)
        save_picture(trainer, f"grid-{trainer.global_step:07d}", to_picture(images, self.grid, rows), key="grid")

    def write_progress(self, trainer: Trainer) -> None:
        """Write `samples/progress.png`: a row for each epoch or, of many, for `progress_rows` evenly spread ones."""
        if self.progress and trainer.is_global_zero:
            count = min(len(self.progress), self.progress_rows)
            epochs = torch.linspace(0, len(self.progress) - 1, count).round().int().tolist()
            rows = torch.cat([self.progress[epoch] for epoch in epochs]).float() / 255
            labels = [f"epoch {epoch + 1}" for epoch in epochs]
            save_picture(trainer, "progress", to_picture(rows, self.progress_columns, labels))

    def write_animation(self, trainer: Trainer) -> None:
        """Write `samples/progress.gif`: a frame for each epoch or, of many, for FRAMES evenly spread ones."""
        if len(self.progress) < 2 or not trainer.is_global_zero:
            return
        epochs = evenly_spread(len(self.progress), FRAMES)
        frames = [to_picture(self.progress[epoch].float() / 255, self.progress_columns) for epoch in epochs]
        with atomic_write(Path(trainer.default_root_dir) / "samples" / "progress.gif") as unfinished:
            save_animation(frames, unfinished)

    def state_dict(self) -> dict[str, Any]:
        """The rows of the strip so far, which a resumed run continues."""
        return {"progress": torch.stack(self.progress) if self.progress else None}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        rows = state_dict["progress"]
        self.progress = [] if rows is None else list(rows)


def half_of_training(trainer: Trainer) -> int | None:
    """The `global_step` after which half of the training is done; None where its length is not known."""
    total = total_batches(trainer)
    return None if total is None else total // 2
