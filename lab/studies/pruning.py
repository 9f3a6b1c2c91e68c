"""Callbacks that end a trial early: because it is pruned, another worker has it, or the study is being stopped."""

import threading
from pathlib import Path
from typing import Any

import optuna
from pytorch_lightning import Callback, LightningModule, Trainer

from lab.stops import Stops
from lab.studies.heartbeat import AbandonedTrialError
from lab.studies.trial import alarms_of


class StopIfAbandoned(Callback):
    """Ends a run before its next batch once another worker has taken its trial over."""

    def __init__(self, abandoned: threading.Event) -> None:
        self.abandoned = abandoned

    def on_train_batch_start(self, *args: Any) -> None:
        if self.abandoned.is_set():
            raise AbandonedTrialError


class StopIfAsked(Callback):
    """Ends a run before it starts if the study was asked to stop; Lightning handles later signals."""

    def __init__(self, stops: Stops) -> None:
        self.stops = stops

    def setup(self, *args: Any, **kwargs: Any) -> None:
        if self.stops.status is not None:
            raise SystemExit(self.stops.status)


class PruneHopeless(Callback):
    """Reports the objective to Optuna's pruner after each measurement, with the number of batches as the step.

    Prunes the trial if the pruner says so, or while an alarm is active.
    """

    def __init__(self, trial: optuna.Trial, metric: str) -> None:
        self.trial, self.metric = trial, metric
        self.reported: float | None = None

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.sanity_checking:
            self.report(trainer)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report after the callbacks of an epoch's end, one of which measures the quality of a GAN's samples."""
        self.report(trainer)

    def report(self, trainer: Trainer) -> None:
        """Report a new value of the objective; raise TrialPruned if the trial is to end."""
        if alarms := alarms_of(Path(trainer.default_root_dir), active=True):
            raise optuna.TrialPruned(f"alarm after batch {trainer.global_step}: {alarms}")
        value = trainer.callback_metrics.get(self.metric)
        if value is None or float(value) == self.reported:
            return
        self.reported = float(value)
        self.trial.report(self.reported, trainer.global_step)
        if self.trial.should_prune():
            raise optuna.TrialPruned(f"{self.metric} {self.reported:.4g} after batch {trainer.global_step}")
