"""Runs in Weights & Biases, which a training never waits long for and never fails because of.

A run is recorded in the `wandb` folder of its run folder, whether or not it is sent to a server at the same time. Its
id is kept there too, so that all parts of a resumed run are one run.
"""

import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args

from pytorch_lightning import Trainer
from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.utilities import rank_zero_only

from lab.files import atomic_write
from lab.program import command_line
from lab.stops import helpers_unsignalled
from lightning_models.tracking.wandb_server import LOST, api_key, server_url, why_unusable

WandbMode = Literal["online", "offline", "disabled"]
SYNONYMS = {"run": "online", "dryrun": "offline"}  # that wandb knows, too
SECONDS_TO_START, SECONDS_TO_FINISH = 6.0, 10.0  # after PATIENCE seconds for a first answer: 20 in all
PENDING = "not-uploaded"  # a file in the folder of a run that was sent while it trained, but not to its end


class WandbOptions:
    """How a run is tracked in Weights & Biases.

    Args:
        mode: where the run is recorded; by default $WANDB_MODE, else online if there is an API key, else offline.
        project: project that the run belongs to.
        group: group of the run, such as the name of a study.
        name: name of the run; by default that of its folder.
        setting: options in which the run differs from others of its group; columns of their own in the run's config.
    """

    def __init__(
        self,
        mode: WandbMode | None = None,
        project: str = "lightning-models",
        group: str | None = None,
        name: str | None = None,
        setting: dict[str, Any] | None = None,
    ) -> None:
        self.mode, self.project, self.group, self.name, self.setting = mode, project, group, name, setting

    def resolved_mode(self) -> str:
        """The mode of this run: the option, else $WANDB_MODE, else online if there is an API key, else offline.

        What cannot be, online without a key or a $WANDB_MODE that does not exist, is said on stderr and is offline.
        """
        given = self.mode or os.environ.get("WANDB_MODE") or ("online" if api_key() else "offline")
        chosen = SYNONYMS.get(given, given)
        if chosen not in get_args(WandbMode):
            offline(f"$WANDB_MODE is {given!r}, expected {', '.join(get_args(WandbMode))}")
            return "offline"
        if chosen == "online" and not api_key():
            offline("there is no API key: use `wandb login` or set WANDB_API_KEY")
            return "offline"
        return chosen


def offline(reason: str) -> None:
    """Say why a run is recorded offline, although that was not asked for."""
    print(f"W&B: {reason}. This run is recorded offline.", file=sys.stderr, flush=True)


class RunLogger(WandbLogger):
    """Sends what is logged to a W&B run; what an earlier part of a resumed run has sent is not sent again.

    wandb works in a process of its own. If that fails, the run goes on without it.
    """

    def __init__(self, run: Any, **names: Any) -> None:
        super().__init__(experiment=run, **names)
        self.is_open, self.has_failed = run is not None, False
        self.last_step, self.last_names = (
            -1,
            set[str](),
        )  # that the run has: the last step, and the metrics of this step

    @rank_zero_only
    def log_hyperparams(self, params: Any) -> None:
        """Add to the run's config."""
        self.attempt(super().log_hyperparams, params)

    @rank_zero_only
    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        """Log what the run does not have yet, pictures and tables included: some batches are trained on twice."""
        if step is not None and step <= self.last_step:
            names = self.last_names if step == self.last_step else set(metrics)
            metrics = {name: value for name, value in metrics.items() if name not in names}
        if metrics:
            self.attempt(super().log_metrics, metrics, step)

    def attempt(self, send: Callable[..., Any], *args: Any, **options: Any) -> bool:
        """Call a function of wandb's, unless one has failed; the first failure is reported. True if it worked."""
        if self.has_failed:
            return False
        try:
            send(*args, **options)
        except Exception as error:  # of another program's process: whatever it is, the training does not need it
            self.has_failed = True
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            upload = command_line("sync", str(self.save_dir))
            print(
                f"W&B failed ({reason}), and the run goes on. To upload what it has: {upload}",
                file=sys.stderr,
                flush=True,
            )
        return not self.has_failed


def start_wandb(trainer: Trainer, options: WandbOptions, config: dict[str, Any]) -> None:
    """Start or go on with the W&B run of a training, unless tracking is off, and add its logger to the trainer."""
    run_dir = Path(trainer.default_root_dir)
    mode = options.resolved_mode() if trainer.is_global_zero else "disabled"
    if mode == "disabled":
        return
    names = {"project": options.project, "group": options.group, "name": options.name or run_dir.name}
    run = begin_run(mode, id=run_id(run_dir), dir=run_dir, config=config, **names)
    if options.setting:
        run.config.update({"setting": options.setting}, allow_val_change=True)
    run.define_metric("trainer/global_step")
    run.define_metric("*", step_metric="trainer/global_step", step_sync=True)
    trainer.loggers = [*trainer.loggers, RunLogger(run, save_dir=run_dir)]


def begin_run(mode: str, **options: Any) -> Any:
    """Start the run that `options` of wandb.init describe, or go on with it; offline where its server cannot be used.

    A signal to all processes of a cluster's job does not reach the process of its own that wandb starts.
    """
    os.environ.update(WANDB_MODE=mode, WANDB_SILENT="true")  # our own output says where the run is
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # wandb's own telemetry: it would wait for its server, too
    os.environ.pop("WANDB_SERVICE", None)  # the helper process of a parent, which we could not end
    import wandb  # takes half a second or more

    with helpers_unsignalled():
        url = server_url()
    is_new = url not in LOST
    if mode == "online" and (reason := why_unusable(url)):
        mode = "offline"
        if is_new:  # once, not for each trial of a study
            offline(f"{url} cannot be used ({reason})")
    settings = wandb.Settings(
        silent=True,
        console="off",
        init_timeout=SECONDS_TO_START,
        finish_timeout=SECONDS_TO_FINISH,
        finish_timeout_raises=True,
    )
    with helpers_unsignalled():
        try:
            return wandb.init(mode=mode, resume="allow", settings=settings, **options)  # type: ignore[arg-type]
        except (wandb.Error, TimeoutError) as error:
            if mode == "offline":
                raise
            LOST[url] = str(error).strip().split("\n")[0] or "it refuses the run"
            offline(f"{url} cannot be used ({LOST[url]})")
            wandb.teardown()  # whose process would hold on to the id of the run
            return wandb.init(mode="offline", resume="allow", settings=settings, **options)


def run_id(run_dir: Path) -> str:
    """The id of the run in W&B, which all its parts share.

    An older run has it in the names of its parts only; one of a W&B sweep gets it from the sweep's agent.
    """
    path = run_dir / "wandb" / "id"
    if not path.exists():
        parts = sorted((run_dir / "wandb").glob("*run-*-*"))
        given = os.environ.get("WANDB_RUN_ID", "") if "WANDB_SWEEP_ID" in os.environ else ""
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as unfinished:
            unfinished.write_text(parts[-1].name.rsplit("-", 1)[1] if parts else given or secrets.token_hex(4))
    return path.read_text().strip()


def skip_sent(trainer: Trainer, step: int, names: set[str]) -> None:
    """Tell the W&B run what it has of batches to be trained on again: all up to `step`, of that the metrics `names`."""
    for logger in run_loggers(trainer):
        logger.last_step, logger.last_names = step, names


def close_wandb(trainer: Trainer) -> str | None:
    """Finish the W&B run, if there is one, and return a line with its address or how to upload it.

    An open run would get what the next run of the same process logs. No upload is waited for longer than ten seconds.
    """
    for logger in run_loggers(trainer):
        run = logger.experiment
        pending = Path(run.dir).parent / PENDING
        if not run.offline:
            pending.touch()  # until all is uploaded
        is_uploaded = logger.attempt(run.finish)
        logger.is_open = False
        if run.offline:
            where = command_line("sync", trainer.default_root_dir)
            return f"W&B          stored offline; to upload it: {where}"
        if is_uploaded:
            pending.unlink()
        else:
            LOST[str(run.settings.base_url)] = "an upload did not end"
        return f"W&B          {run.url}"
    return None


def send_alert(trainer: Trainer, title: str, text: str) -> None:
    """Send an alert of the W&B run: a mail or a message where the user has set that up."""
    for logger in run_loggers(trainer):
        logger.attempt(logger.experiment.alert, title=title, text=text)


def run_loggers(trainer: Trainer) -> list[RunLogger]:
    """The logger of the trainer's open W&B run, if there is one."""
    return [logger for logger in trainer.loggers if isinstance(logger, RunLogger) and logger.is_open]
