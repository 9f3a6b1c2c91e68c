"""Alarms: failing runs are flagged during training."""

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.utilities.seed import isolate_rng
from torch import Tensor

from lab.files import atomic_write
from lightning_models.callbacks.alarm_measures import (
    Images,
    diversity,
    membership,
    nearest,
    not_finite,
    pinned,
    posterior_use,
    some_of,
)
from lightning_models.callbacks.alarm_rules import Observation, RestartAskedError, StoppedByAlarmError, all_rules
from lightning_models.callbacks.sample_quality import SampleQuality
from lightning_models.drawing.pictures import to_picture
from lightning_models.feature_extractors.choice import choose_extractor, classifier_name
from lightning_models.feature_extractors.classifier import find_classifier
from lightning_models.feature_extractors.networks import FeatureExtractor
from lightning_models.gan import GAN
from lightning_models.modules.checks import check_at_least
from lightning_models.tracking.media import save_picture
from lightning_models.tracking.wandb_runs import send_alert
from lightning_models.vae import VAE

SAMPLES = 128
T = TypeVar("T")
OnAlarm = Literal["warn", "stop", "restart"]


class Alarms(Callback):
    """Flags failing runs during training; see docs/alarms.md.

    An alarm is printed, stored in `alarms.json` and sent to W&B, with a grid of samples. By default the run goes on as
    it would without alarms: their samples come from a generator of their own. NaN and infinity stop a run of any family
    in any case, before they are written to a checkpoint.

    Args:
        enabled: whether runs are observed.
        every_n_batches: batches between two observations.
        on_alarm: warn and go on (`warn`), stop the run (`stop`), or start again with the next seed in a folder beside
            this one (`restart`).
        restarts: largest number of restarts.
    """

    def __init__(
        self, enabled: bool = True, every_n_batches: int = 50, on_alarm: OnAlarm = "warn", restarts: int = 2
    ) -> None:
        check_at_least("alarms.every_n_batches", every_n_batches, 1)
        check_at_least("alarms.restarts", restarts, 0)
        self.enabled, self.every_n_batches, self.on_alarm, self.restarts = enabled, every_n_batches, on_alarm, restarts
        self.rules = all_rules()
        self.raised: list[dict[str, Any]] = []
        self.classifier: FeatureExtractor | None = None
        self.last_metrics: dict[str, float] = {}
        self.training: Images | None = None
        self.held_out: Images | None = None
        self.real: Tensor | None = None  # (SAMPLES, channels, height, width) in [0, 1], of the first batches
        self.of_real: dict[str, Any] = {}  # what was measured of them once all are there

    def state_dict(self) -> dict[str, Any]:
        """The alarms so far and the states of the rules, as plain values."""
        return {"raised": self.raised, "rules": {rule.name: rule.state for rule in self.rules}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.raised = state_dict["raised"]
        for rule in self.rules:
            rule.state.update(state_dict["rules"].get(rule.name, {}))

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Choose images to observe and, for a GAN, open the classifier of the data, if a fitting one is published."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        if not (self.enabled and isinstance(pl_module, (GAN, VAE))) or data is None:
            return
        self.training = some_of(data, ("train",), SAMPLES)
        self.held_out = some_of(data, ("val", "test"), SAMPLES)
        if not isinstance(pl_module, GAN):
            return
        if find_classifier(classifier_name(data)) is not None and not getattr(data, "classified_by_channel", False):
            with isolate_rng():
                self.classifier, _ = choose_extractor("auto", data, pl_module.image_shape, during_fit=True)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Collect the first real images, and observe the run every `every_n_batches` batches."""
        if not self.enabled:
            return
        if isinstance(pl_module, GAN) and (self.real is None or len(self.real) < SAMPLES):
            low, high = pl_module.value_range
            images = (batch[0].detach()[:SAMPLES].float().cpu() - low) / (high - low)
            self.real = images if self.real is None else torch.cat([self.real, images])[:SAMPLES]
        if trainer.global_step % self.every_n_batches == 0:
            self.look(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at the quality of samples, if it was measured."""
        for quality in trainer.callbacks:  # type: ignore[attr-defined]
            measured = quality.measured if self.enabled and isinstance(quality, SampleQuality) else None
            if measured is not None and measured.batch == trainer.global_step:
                seen = Observation(measured.batch, distance=(measured.fid, measured.how))
                samples = pl_module.sample(SAMPLES, seed=0)  # type: ignore[operator]
                self.observe(trainer, pl_module, seen, samples)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Refuse to checkpoint NaN or infinity: the run stops, and the last good checkpoint stays."""
        if self.enabled and trainer.training and (found := any_process(trainer, not_finite(pl_module))):
            self.observe(trainer, pl_module, Observation(trainer.global_step, not_finite=found))

    def look(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Make an observation and give it to the rules."""
        logged = {
            name.removeprefix("train/"): float(value)
            for name, value in trainer.callback_metrics.items()
            if name.startswith("train/") and "per_second" not in name
        }
        if skips_overflows(trainer):
            logged = {k: v for k, v in logged.items() if math.isfinite(v) or not k.endswith("gradient_norm")}
        metrics = {} if logged == self.last_metrics else logged
        self.last_metrics = logged
        found = not_finite(pl_module)
        for name, value in logged.items():
            if not math.isfinite(value):
                found = found or name
        found = any_process(trainer, found)
        if not isinstance(pl_module, GAN):
            batch, vae = trainer.global_step, pl_module if isinstance(pl_module, VAE) and not found else None
            posterior = None if vae is None else posterior_use(vae, self.training)
            self.observe(trainer, pl_module, Observation(batch, batch, metrics, not_finite=found, posterior=posterior))
            return
        samples = None if found else pl_module.sample(SAMPLES, seed=0)
        if samples is not None and not samples.isfinite().all():
            found, samples = "the samples", None
        seen = Observation(
            batch=trainer.global_step,
            updates=trainer.global_step // pl_module.n_critic,
            metrics=metrics,
            has_labels=pl_module.objective.uses_labels,
            diversity=self.ratio(diversity, samples),
            nearest=self.ratio(nearest, samples),
            classes=None if samples is None else self.classes_of(samples),
            pinned=pinned(pl_module),
            not_finite=found,
            membership=None if found else membership(pl_module, self.training, self.held_out),
        )
        self.observe(trainer, pl_module, seen, samples)

    def measured_of_real(self, measure: Callable[[Tensor], T]) -> T | None:
        """`measure` of the real images, once for all observations as soon as all images are there; None without any."""
        if self.real is None or measure.__name__ in self.of_real:
            return self.of_real.get(measure.__name__)
        found = measure(self.real)
        if len(self.real) == SAMPLES:
            self.of_real[measure.__name__] = found
        return found

    def ratio(self, measure: Callable[[Tensor], float], samples: Tensor | None) -> float | None:
        """`measure` of samples, relative to that of real images; None without them, or if those are all alike."""
        of_real = self.measured_of_real(measure)
        return None if samples is None or not of_real else measure(samples) / of_real

    def classes_of(self, samples: Tensor) -> tuple[int, int] | None:
        """Numbers of classes that hold at least 1 % of the samples, and of the real images, by the classifier."""
        if self.classifier is None or self.real is None:
            return None
        fake, real = self.number_of_classes(samples), self.measured_of_real(self.number_of_classes)
        return None if fake is None or real is None else (fake, real)

    def number_of_classes(self, images: Tensor) -> int | None:
        """Those that hold at least 1 % of the images (count, ...) in [0, 1]; None if the network has no classes."""
        assert self.classifier is not None
        logits = self.classifier.extract((images.clamp(0, 1) * 255).round().to(torch.uint8), torch.device("cpu")).logits
        if logits is None:
            return None
        shares = torch.bincount(logits.argmax(dim=1)).float() / len(images)
        return int((shares >= 0.01).sum())

    def observe(
        self, trainer: Trainer, pl_module: LightningModule, seen: Observation, samples: Tensor | None = None
    ) -> None:
        """Give an observation to the rules; report what rings or ends and, if `on_alarm` says so, stop the run.

        Each process has metrics and images of its own. All use the first one's observation, so that all stop together.

        Raises:
            StoppedByAlarmError: to stop the run.
        """
        seen = trainer.strategy.broadcast(seen)
        stops: str | None = None
        for rule in self.rules:
            rang = rule.state["rings"]
            message = rule.look(seen)
            if rang and not rule.state["rings"]:
                self.end(trainer, rule.name, seen.batch)
            if message is None:
                continue
            self.ring(trainer, rule.name, message, seen.batch, samples)
            if rule.name == "not_finite" or self.on_alarm != "warn":
                stops = stops or f"{rule.name}: {message}"
        if stops:
            kind = RestartAskedError if self.on_alarm == "restart" else StoppedByAlarmError
            raise kind(
                f"the run was stopped at batch {seen.batch:,} by an alarm, {stops}. "
                f"{Path(trainer.default_root_dir) / 'checkpoints'} holds the last good checkpoint, if there was one"
            )

    def ring(self, trainer: Trainer, name: str, message: str, batch: int, samples: Tensor | None) -> None:
        """Print and store an alarm, and send it to W&B with a grid of the samples."""
        self.raised.append({"name": name, "message": message, "batch": batch, "ended": None})
        if not trainer.is_global_zero:
            return
        print(f"alarm        {name} at batch {batch:,}: {message}", file=sys.stderr, flush=True)
        self.keep(trainer)
        send_alert(trainer, f"alarm: {name}", message)
        if samples is not None:
            save_picture(trainer, f"alarm-{name}-{batch:07}", to_picture(samples[:64], 8), key=f"alarm-{name}")

    def end(self, trainer: Trainer, name: str, batch: int) -> None:
        """Print and store that an alarm has ended."""
        for alarm in reversed(self.raised):
            if alarm["name"] == name and alarm["ended"] is None:
                alarm["ended"] = batch
                break
        if trainer.is_global_zero:
            print(f"alarm        {name} ended at batch {batch:,}", file=sys.stderr, flush=True)
            self.keep(trainer)

    def keep(self, trainer: Trainer) -> None:
        """Write `alarms.json` in the run folder: all alarms of the run so far."""
        with atomic_write(Path(trainer.default_root_dir) / "alarms.json") as unfinished:
            unfinished.write_text(json.dumps(self.raised, indent=2) + "\n")


def skips_overflows(trainer: Trainer) -> bool:
    """Whether gradients may overflow in a healthy run: with a loss scaler, which skips such a step and scales less."""
    return getattr(trainer.precision_plugin, "scaler", None) is not None


def any_process(trainer: Trainer, found: str | None) -> str | None:
    """What this process found, else a note if another one found something; None if none did."""
    somebody = not trainer.strategy.reduce_boolean_decision(found is None, all=True)
    return found or ("a number of another process" if somebody else None)
