"""Where a run's numbers, pictures and texts go: files in the run folder, and Weights & Biases.

The only module that knows wandb.
"""

import csv
import netrc
import os
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from lightning_fabric.loggers.csv_logs import _ExperimentWriter
from lightning_fabric.loggers.logger import rank_zero_experiment
from PIL.Image import Image
from pytorch_lightning import Trainer
from pytorch_lightning.loggers import CSVLogger, Logger, WandbLogger
from pytorch_lightning.utilities import rank_zero_only

WandbMode = Literal["online", "offline", "disabled"]


class _AppendingWriter(_ExperimentWriter):
    """Goes on with the metrics.csv that it finds, where Lightning's own deletes it."""

    def _check_log_dir_exists(self) -> None:
        path = Path(self.metrics_file_path)
        if path.is_file():
            with path.open(newline="") as file:
                self.metrics_keys = list(csv.DictReader(file).fieldnames or [])

    def drop_from(self, step: int) -> None:
        """Forget the rows of batch number `step` (from 0) and later, which a resumed run writes again."""
        if Path(self.metrics_file_path).is_file():
            self._rewrite([row for row in self._rows() if int(row["step"]) < step])

    def _rewrite_with_new_header(self, fieldnames: list[str]) -> None:
        """Where Lightning's own empties the file first: a run that is killed then has lost all its rows."""
        self._rewrite(self._rows())

    def _rows(self) -> list[dict[str, str]]:
        with Path(self.metrics_file_path).open(newline="") as file:
            return list(csv.DictReader(file))

    def _rewrite(self, rows: list[dict[str, str]]) -> None:
        path = Path(self.metrics_file_path)
        part = path.with_suffix(".part")
        with part.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=self.metrics_keys)
            writer.writeheader()
            writer.writerows(rows)
        part.replace(path)


class MetricsFile(CSVLogger):
    """`metrics.csv` in the run folder; a resumed run goes on in the same file."""

    def __init__(self, run_dir: str | Path) -> None:
        super().__init__(save_dir=run_dir, name="", version="", flush_logs_every_n_steps=1)

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The writer, made on first use."""
        if self._experiment is None:
            self._experiment = _AppendingWriter(log_dir=str(self.save_dir))
        return self._experiment

    @rank_zero_only
    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: the run folder's config.yaml holds them."""

    @rank_zero_only
    def save(self) -> None:
        """Append what is new to the file."""
        self.experiment.save()

    @rank_zero_only
    def drop_from(self, step: int) -> None:
        """Forget the rows of batch number `step` and later."""
        self.experiment.drop_from(step)


class WandbOptions:
    """How a run is tracked in Weights & Biases.

    Args:
        mode: where the run goes; by default $WANDB_MODE, else online where an API key is set, else offline.
        project: the project that it appears in.
        group: what it is grouped under, such as the name of a study.
        name: its name; by default that of its folder.
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
        """The mode of this run: the option, else $WANDB_MODE, else by whether there is an API key."""
        chosen = self.mode or os.environ.get("WANDB_MODE")
        return chosen or ("online" if has_api_key() else "offline")


def has_api_key() -> bool:
    """Whether there is a key in the environment or from `wandb login`, which keeps it in ~/.netrc.

    wandb's own ways to ask either prompt or warn.
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
    os.environ.setdefault("WANDB_SILENT", "true")  # our own lines say where the run is
    import wandb  # takes half a second: only where a run is tracked

    logger = WandbLogger(
        project=options.project,
        group=options.group,
        name=options.name or run_dir.name,
        save_dir=run_dir,
        mode=mode,
        config=config,
        settings=wandb.Settings(silent=True, console="off"),
    )
    logger._wandb_init.pop("anonymous", None)  # Lightning's default for an option that wandb warns of
    return [*loggers, logger]


def close_wandb(trainer: Trainer) -> str | None:
    """Finish the W&B run, if there is one; a line that says where it is, and how to sync it if it is offline.

    WandbLogger leaves its run open, and the next run of the same process would go on in it.
    """
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger) and trainer.is_global_zero:
            run = logger.experiment
            if run.offline:
                told = f"kept offline; to upload it, `wandb login`, then `wandb sync {Path(run.dir).parent}`"
            else:
                told = str(run.url)
            run.finish()
            return f"W&B          {told}"
    return None


def save_picture(trainer: Trainer, name: str, image: Image, key: str | None = None) -> Path:
    """Write `samples/<name>.png` in the run folder and show it in W&B under `samples/<key or name>`.

    Pictures stand on the axis of the losses: the number of the last batch, from 0.
    """
    path = _sample_path(trainer, f"{name}.png")
    part = path.with_suffix(".part")
    image.save(part, format="png")
    part.replace(path)
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            logger.log_image(f"samples/{key or name}", [image], step=_last_batch(trainer))
    return path


def save_text(trainer: Trainer, name: str, text: str) -> Path:
    """Write `samples/<name>.txt` in the run folder."""
    path = _sample_path(trainer, f"{name}.txt")
    part = path.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
    return path


def save_table(trainer: Trainer, name: str, columns: list[str], rows: list[list[Any]]) -> Path:
    """Write `<name>.csv` in the run folder and show the table in W&B under `name`."""
    path = Path(trainer.default_root_dir) / f"{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    part.replace(path)
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            text = [[str(cell) for cell in row] for row in rows]  # a column of W&B's has one type
            logger.log_table(name, columns, text, step=_last_batch(trainer))
    return path


def _sample_path(trainer: Trainer, file_name: str) -> Path:
    path = Path(trainer.default_root_dir) / "samples" / file_name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _last_batch(trainer: Trainer) -> int:
    """The number of the last batch, from 0: the axis of the losses."""
    return max(trainer.global_step - 1, 0)


def tell_wandb(trainer: Trainer, title: str, text: str) -> None:
    """An alert of the W&B run: a mail or a message where the user has set that up."""
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            logger.experiment.alert(title=title, text=text)
