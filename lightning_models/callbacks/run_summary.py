"""`summary.json`: what a run was and what came out of it."""

import json
import os
import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from lab.files import atomic_write
from lab.shipped import commit
from lightning_models.callbacks.sample_quality import SampleQuality
from lightning_models.callbacks.throughput import Throughput
from lightning_models.tracking.media import save_table
from lightning_models.tracking.metrics_file import MetricsFile
from lightning_models.tracking.wandb_runs import skip_sent

JOBS = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID")  # where a cluster's queue has the number of a job


class RunSummary(Callback):
    """Writes `summary.json` into the run folder at the end of a command, and keeps metrics.csv whole on a resume.

    `trained` says whether this command has trained a batch: a resumed run may have reached its limits before.
    """

    def __init__(self, command: str, seed: int | None) -> None:
        self.command, self.seed = command, seed
        self.started = time.time()
        self.commit = commit()  # now: the files may change while it trains
        self.earlier_seconds = 0.0
        self.starts = [this_start()]  # of the run, those before this one from its checkpoint
        self.metrics: dict[str, float] = {}  # the last ones, over all parts of a resumed run
        self.trained = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Drop the rows of metrics.csv that are about to be written again, by a run that goes on or begins again."""
        for logger in trainer.loggers:
            if isinstance(logger, MetricsFile) and trainer.is_global_zero:
                skip_sent(trainer, *logger.drop_from(trainer.global_step))

    def on_train_batch_start(self, *args: Any) -> None:
        """There is something to train."""
        self.trained = True

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Keep the metrics and the seconds spent so far."""
        seconds = self.earlier_seconds + time.time() - self.started
        kept = {"seconds": seconds, "metrics": self.last_metrics(trainer), "starts": self.starts}
        checkpoint["run_summary"] = kept

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """See on_save_checkpoint; an evaluation has seconds and metrics of its own."""
        if trainer.state.fn == "fit" and (kept := checkpoint.get("run_summary")):
            self.earlier_seconds, self.metrics = kept["seconds"], kept["metrics"]
            self.starts = [*kept.get("starts", []), *self.starts]

    def last_metrics(self, trainer: Trainer) -> dict[str, float]:
        """By name; those that were not measured since the resume as they were before it."""
        self.metrics |= {name: value.item() for name, value in trainer.callback_metrics.items()}
        return dict(sorted(self.metrics.items()))

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the table of parameters."""
        if not trainer.is_global_zero:
            return
        shapes = [(name, p.shape, p.numel()) for name, p in pl_module.named_parameters()]
        rows = [[name, " x ".join(map(str, shape)), count] for name, shape, count in shapes]
        total = sum(count for *_, count in shapes)
        save_table(trainer, "parameters", ["parameter", "shape", "count"], [*rows, ["total", "", total]])

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write it, unless the run was at its end before: then it is there, with what the last batch left."""
        if self.trained or not (Path(trainer.default_root_dir) / "summary.json").exists():
            self.write(trainer, pl_module)

    def write(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        with atomic_write(Path(trainer.default_root_dir) / "summary.json") as unfinished:
            unfinished.write_text(json.dumps(self.summary(trainer, pl_module), indent=2) + "\n")

    def quality_table(self, trainer: Trainer) -> str | None:
        """What was measured of the samples, for people; None if nothing was."""
        measured = sample_quality(trainer)
        return measured.table() if measured is not None else None

    def summary(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """All of it as plain values."""
        callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
        measured = sample_quality(trainer)
        speeds = [c for c in callbacks if isinstance(c, Throughput)]
        networks = {
            name: sum(p.numel() for p in network.parameters())
            for name, network in pl_module.named_children()
            if any(True for _ in network.parameters())
        }
        return {
            "command": self.command,
            "model": type(pl_module).__name__,
            "metrics": self.last_metrics(trainer),
            "quality": measured.report if measured is not None and measured.report else None,
            "data": data_description(trainer),
            "parameters": networks,
            "batches": trainer.global_step,
            "epochs": trainer.current_epoch,
            "seconds": round(self.earlier_seconds + time.time() - self.started, 2),
            "samples_per_second": speeds[0].samples_per_second() if speeds else None,
            "seconds_by_part": {k: round(v, 2) for k, v in speeds[0].seconds.items()} if speeds else None,
            "starts": self.starts,
            "seed": self.seed,
            "precision": str(trainer.precision),
            "hardware": {
                "processor": platform.processor() or platform.machine(),
                "cores": os.cpu_count(),
                "accelerator": type(trainer.accelerator).__name__,
                "devices": trainer.world_size,
                "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
            },
            "versions": {
                "python": platform.python_version(),
                "torch": torch.__version__,
                "pytorch-lightning": version("pytorch-lightning"),
                "torchvision": version("torchvision"),
                **({"commit": self.commit} if self.commit else {}),
            },
        }


def this_start() -> dict[str, str | None]:
    """When and where this process was started: the time, the host or a job's hosts, and the job's number, if any."""
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "hosts": os.environ.get("SLURM_JOB_NODELIST") or platform.node(),
        "job": next((os.environ[name] for name in JOBS if name in os.environ), None),
    }


def sample_quality(trainer: Trainer) -> SampleQuality | None:
    """The callback that measures samples, if there is one."""
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    return next((c for c in callbacks if isinstance(c, SampleQuality)), None)


def data_description(trainer: Trainer) -> dict[str, Any] | None:
    """What the data module says about its data: `fingerprint` and `found`; None for one that says nothing."""
    data: Any = getattr(trainer, "datamodule", None)
    if data is None or not hasattr(data, "fingerprint"):
        return None
    return {"fingerprint": data.fingerprint, "found": data.found}
