"""What a run would be, without running it: whether its options are valid, its parameters, batches and time."""

import contextlib
import math
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, Trainer
from pytorch_lightning.callbacks import Timer

from lab.training.cli import ProjectCLI, give_an_end
from lab.training.running import run_trainer
from lightning_models.feature_extractors.choice import choose_extractor, classifier_name
from lightning_models.feature_extractors.classifier import how_to_train
from lightning_models.metrics.catalogue import BY_CLASSIFIER, MEASURES
from lightning_models.modules.image_generator import ImageGenerator

TIMED_BATCHES = 20


class BatchTimer(Callback):
    """Measures the mean time of a training batch, without the first three, which allocate memory."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.started = 0.0

    def on_train_batch_start(self, *args: Any) -> None:
        self.started = time.perf_counter()

    def on_train_batch_end(self, *args: Any) -> None:
        self.seconds.append(time.perf_counter() - self.started)

    def seconds_per_batch(self) -> float:
        """Mean seconds of a training batch."""
        counted = self.seconds[3:] or self.seconds
        return sum(counted) / len(counted)


class Plan(ProjectCLI):
    """Builds data and model from the options of `fit` and stops there; nothing is written."""

    def __init__(self, options: list[str]) -> None:
        super().__init__(["fit", *options])

    def before_instantiate_classes(self) -> None:
        """Skip the checks of the run folder and the checkpoint."""

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """A Trainer that writes nothing."""
        return Trainer(
            logger=False, enable_checkpointing=False, enable_progress_bar=False, accelerator="cpu", devices=1
        )

    def run_subcommand(self, subcommand: str) -> None:
        """Do nothing."""

    @property
    def parameters(self) -> int:
        """Number of parameters of the model, without moving averages of others (`generator_ema`)."""
        return sum(
            p.numel() for name, p in self.model.named_parameters() if not name.partition(".")[0].endswith("_ema")
        )

    def why_unmeasured(self, metric: str) -> str:
        """Why a fit would not log `metric`; empty if it would, or if `metric` is no measure of sample quality.

        Raises:
            UserError: if the network of `quality.network` is missing or does not fit the images.
        """
        if not isinstance(self.model, ImageGenerator) or metric.removeprefix("val/") not in MEASURES:
            return ""
        quality = self.options.quality
        if quality.every_n_epochs == 0:
            return "quality.every_n_epochs is 0"
        channels, height, width = self.model.image_shape
        network, notes = choose_extractor(quality.network, self.datamodule, (channels, height, width), during_fit=True)
        if network is not None and network.num_classes is None and metric.removeprefix("val/") in BY_CLASSIFIER:
            return f"it needs a classifier of the images. {how_to_train(classifier_name(self.datamodule))}"
        if network is not None:
            return ""
        return notes[0].removeprefix("quality").strip() if notes else f"quality.network is {quality.network}"

    def batches(self) -> float:
        """Training batches of the whole run; infinite if only `trainer.max_time` ends it."""
        self.datamodule.prepare_data()
        self.datamodule.setup("fit")
        trainer = self.options.trainer
        give_an_end(trainer)
        per_epoch = len(self.datamodule.train_dataloader())
        limit = trainer.limit_train_batches
        if limit is not None:  # a share or a number of batches; a config may give the number as 128.0
            per_epoch = min(per_epoch, int(limit if isinstance(limit, int) or limit > 1 else limit * per_epoch))
        epochs = math.inf if trainer.max_epochs in (None, -1) else trainer.max_epochs
        steps = math.inf if trainer.max_steps == -1 else trainer.max_steps
        return min(epochs * per_epoch, steps)

    def seconds(self) -> float:
        """The run's `trainer.max_time` in seconds; infinite if there is none."""
        limit = Timer(self.options.trainer.max_time).time_remaining()
        return math.inf if limit is None else limit


def seconds_of(options: list[str]) -> float:
    """Estimated seconds of the run, from the mean time of a few batches; without validation and pictures."""
    plan = Plan(options)
    batches, end = plan.batches(), plan.seconds()
    few = [f"--trainer.limit_train_batches={TIMED_BATCHES}", "--trainer.max_epochs=1", "--trainer.limit_val_batches=0"]
    few += ["--trainer.log_every_n_steps=1"]
    timer = BatchTimer()
    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        kept = ["--quiet", "--wandb.mode=disabled", f"--run_dir={Path(folder) / 'run'}"]
        run_trainer("fit", [*options, *few, *kept], [timer])
    return min(timer.seconds_per_batch() * batches, end)
