"""Runs in Weights & Biases."""

import netrc
import os
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pytorch_lightning import Trainer
from pytorch_lightning.loggers import Logger, WandbLogger

from lab.compat.wandb_logger import drop_deprecated_arguments
from lab.stops import helpers_unsignalled
from lightning_models.tracking.metrics_file import MetricsFile

WandbMode = Literal["online", "offline", "disabled"]


class WandbOptions:
    """How a run is tracked in Weights & Biases.

    Args:
        mode: where the run is recorded; by default $WANDB_MODE, else online if there is an API key, else offline.
        project: project that the run belongs to.
        group: group of the run, such as the name of a study.
        name: name of the run; by default that of its folder.
    """

    def __init__(
        self,
        mode: WandbMode | None = None,
        project: str = "lightning-models",
        group: str | None = None,
        name: str | None = None,
    ) -> None:
        self.mode, self.project, self.group, self.name = mode, project, group, name

    def resolved_mode(self) -> str:
        """The mode of this run: the option, else $WANDB_MODE, else online if there is an API key, else offline."""
        chosen = self.mode or os.environ.get("WANDB_MODE")
        return chosen or ("online" if has_api_key() else "offline")


def has_api_key() -> bool:
    """Whether an API key is set in the environment or was stored in ~/.netrc by `wandb login`.

    wandb's own functions prompt or warn instead of answering.
    """
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname
    try:
        return netrc.netrc().authenticators(str(host)) is not None
    except (OSError, netrc.NetrcParseError):
        return False


def make_loggers(run_dir: Path, options: WandbOptions, config: dict[str, Any]) -> list[Logger]:
    """The loggers of a run: metrics.csv and, unless disabled, a W&B run that holds `config`."""
    loggers: list[Logger] = [MetricsFile(run_dir)]
    mode = options.resolved_mode()
    if mode == "disabled":
        return loggers
    os.environ.setdefault("WANDB_SILENT", "true")  # our own output says where the run is
    import wandb  # importing it takes half a second

    logger = WandbLogger(
        project=options.project,
        group=options.group,
        name=options.name or run_dir.name,
        save_dir=run_dir,
        mode=mode,
        config=config,
        settings=wandb.Settings(silent=True, console="off"),
    )
    drop_deprecated_arguments(logger)
    return [*loggers, logger]


def start_wandb(trainer: Trainer) -> None:
    """Start the W&B run, if there is one, whose own process outlives a signal to all processes of a cluster's job."""
    with helpers_unsignalled():
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                _ = logger.experiment


def close_wandb(trainer: Trainer) -> str | None:
    """Finish the W&B run, if there is one, and return a line with its address or how to upload it.

    WandbLogger leaves its run open, and the next run of the same process would be logged into it.
    """
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger) and trainer.is_global_zero:
            run = logger.experiment
            if run.offline:
                where = f"stored offline; to upload it, `wandb login`, then `wandb sync {Path(run.dir).parent}`"
            else:
                where = str(run.url)
            run.finish()
            return f"W&B          {where}"
    return None


def send_alert(trainer: Trainer, title: str, text: str) -> None:
    """Send an alert of the W&B run: a mail or a message where the user has set that up."""
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            logger.experiment.alert(title=title, text=text)
