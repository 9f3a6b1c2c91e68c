"""Hopeless trials end early."""

import optuna
from pytorch_lightning import Callback, LightningModule, Trainer


class StopHopeless(Callback):
    """Reports the objective after each validation and ends the run where Optuna's pruner finds it hopeless."""

    def __init__(self, trial: optuna.Trial, metric: str) -> None:
        self.trial, self.metric = trial, metric

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report and look."""
        value = trainer.callback_metrics.get(self.metric)
        if value is None or trainer.sanity_checking:
            return
        self.trial.report(float(value), trainer.current_epoch)
        if self.trial.should_prune():
            raise optuna.TrialPruned(f"{self.metric} {float(value):.4g} after epoch {trainer.current_epoch + 1}")
