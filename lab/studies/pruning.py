"""Trials that end early: hopeless ones, those that are another worker's by now, those of a study that is stopped."""

import threading
from pathlib import Path
from typing import Any

import optuna
from pytorch_lightning import Callback, LightningModule, Trainer

from lab.studies.heartbeat import GivenUpError
from lab.studies.trial import alarms_of
from lab.training.stops import Stops


class StopGivenUp(Callback):
    """Ends a run before its next batch when its trial was given up as lost: another worker goes on in its folder."""

    def __init__(self, given_up: threading.Event) -> None:
        self.given_up = given_up

    def on_train_batch_start(self, *args: Any) -> None:
        """Look."""
        if self.given_up.is_set():
            raise GivenUpError


class StopWhenTold(Callback):
    """Ends a run before it begins when the study was told to stop meanwhile; later signals Lightning sees itself."""

    def __init__(self, stops: Stops) -> None:
        self.stops = stops

    def setup(self, *args: Any, **kwargs: Any) -> None:
        """Look."""
        if self.stops.status is not None:
            raise SystemExit(self.stops.status)


class StopHopeless(Callback):
    """Reports the objective after each measurement, at the number of batches, and ends a run that is hopeless.

    It is hopeless where Optuna's pruner finds it so, or where an alarm still rings.
    """

    def __init__(self, trial: optuna.Trial, metric: str) -> None:
        self.trial, self.metric = trial, metric
        self.reported: float | None = None

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """After a validation."""
        if not trainer.sanity_checking:
            self.look(trainer)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """After an epoch and all callbacks of its end: the quality of a GAN's samples is measured in one of them."""
        self.look(trainer)

    def look(self, trainer: Trainer) -> None:
        """Report what is new and stop where that is hopeless."""
        if alarms := alarms_of(Path(trainer.default_root_dir), ringing=True):
            raise optuna.TrialPruned(f"alarm after batch {trainer.global_step}: {alarms}")
        value = trainer.callback_metrics.get(self.metric)
        if value is None or float(value) == self.reported:
            return
        self.reported = float(value)
        self.trial.report(self.reported, trainer.global_step)
        if self.trial.should_prune():
            raise optuna.TrialPruned(f"{self.metric} {self.reported:.4g} after batch {trainer.global_step}")
