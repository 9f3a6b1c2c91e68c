"""The quality of generated images, during training and of a checkpoint."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, cast

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.utilities.seed import isolate_rng
from torch import Tensor

from lab.errors import UserError
from lightning_models.feature_extractors.cache import features_of_real
from lightning_models.feature_extractors.choice import choose_extractor
from lightning_models.feature_extractors.networks import FeatureExtractor, Features
from lightning_models.metrics.quality import Measured, Quality, check_finite
from lightning_models.metrics.report import table
from lightning_models.modules.checks import check_at_least
from lightning_models.modules.image_generator import ImageGenerator

GENERATED_AT_ONCE = 250
EVALUATIONS_OF_A_RUN = 10
Part = Literal["val", "test"]
Split = Literal["train", "val", "test"]


class ImageData(Protocol):
    """A data module with images, each (images, channels, height, width) uint8."""

    train_images: Tensor
    val_images: Tensor
    test_images: Tensor


@dataclass(frozen=True)
class Distance:
    """A Frechet distance, the batch after which it was measured, and how: what another must share to be compared."""

    batch: int
    fid: float
    how: str


def measuring_device(module: LightningModule) -> torch.device:
    """The module's own device, unless that has no float64."""
    return torch.device("cpu") if module.device.type == "mps" else module.device


def shared(trainer: Trainer, make: Callable[[], Any]) -> Any:
    """What the first process makes, in all processes."""
    return trainer.strategy.broadcast(make() if trainer.is_global_zero else None)


class SampleQuality(Callback):
    """Measures generated images against real ones: `val/fid`, `val/kid`, `val/precision` ... see docs/metrics.md.

    `validate` and the epochs of a fit compare generated images with training images, `test` compares them with test
    images. The baseline is the value of other real images in place of the generated ones. Samples come from the
    averaged weights if there are any. Training is not affected: all random numbers come from generators of this
    callback. Nothing is measured of models that generate no images.

    Args:
        network: feature extractor that images are compared by: `auto`, `classifier` (of this project, published for
            the data), `contrastive` (a small network that learns from the training images, once, in seconds or
            minutes), `inception`, `random`, `none` (measure nothing), or the path of a classifier's checkpoint. `auto`
            is the classifier; without one `validate` and `test` use Inception for colour images if it is installed,
            else `contrastive`. So does a fit if such a network has been trained before or takes seconds; otherwise
            nothing is measured in it.
        num_samples: generated images, and at most as many real ones, for `validate` and `test`.
        num_samples_in_fit: the same for the epochs of a fit.
        every_n_epochs: epochs of a fit between two measurements, the last of which is at its end; 0: none during a
            fit; by default about ten measurements a run.
        seed: of the latent vectors and of the choice of real images.
    """

    def __init__(
        self,
        network: str = "auto",
        num_samples: int = 10_000,
        num_samples_in_fit: int = 2_000,
        every_n_epochs: int | None = None,
        seed: int = 0,
    ) -> None:
        check_at_least("quality.num_samples", num_samples, 2)
        check_at_least("quality.num_samples_in_fit", num_samples_in_fit, 2)
        check_at_least("quality.every_n_epochs", every_n_epochs or 0, 0)
        self.option, self.num_samples, self.num_samples_in_fit = network, num_samples, num_samples_in_fit
        self.every_n_epochs, self.seed = every_n_epochs, seed
        self.network: FeatureExtractor | None = None
        self.report: dict[str, Any] = {}  # of the last measurement: the network, numbers of images, baseline, problems
        self.measured: Distance | None = None  # the last one of a fit
        self.baselines: dict[tuple[Part, int], dict[str, float]] = {}
        self.kept: dict[tuple[str, int], Features] = {}  # of real images
        self.told: set[str] = set()

    # ------------------------------------------------------------------------------------------------------ when

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Choose the feature extractor, so that a missing or wrong one fails early, before training."""
        if self.every_n_epochs != 0:
            self.choose(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.is_due(trainer):
            self.measure(trainer, pl_module, "val", self.num_samples_in_fit)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == "validate":
            self.choose(trainer, pl_module)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == "validate":
            self.measure(trainer, pl_module, "val", self.num_samples)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.choose(trainer, pl_module)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.measure(trainer, pl_module, "test", self.num_samples)

    def is_due(self, trainer: Trainer) -> bool:
        """Whether to measure at the end of the current epoch."""
        epoch, epochs = trainer.current_epoch + 1, trainer.max_epochs or -1
        if self.every_n_epochs == 0:
            return False
        every = self.every_n_epochs or (-(-epochs // EVALUATIONS_OF_A_RUN) if epochs > 0 else EVALUATIONS_OF_A_RUN)
        is_last = epoch == epochs or trainer.global_step == trainer.max_steps or trainer.should_stop  # max_time
        return epoch % every == 0 or is_last

    # ------------------------------------------------------------------------------------------------------ what

    def choose(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Choose the feature extractor.

        Raises:
            UserError: if the one that was asked for is missing or does not fit the images.
        """
        if not isinstance(pl_module, ImageGenerator):
            return
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        if not all(hasattr(data, name) for name in ImageData.__annotations__):
            self.network = None
            return
        self.kept = {}
        shape = (int(pl_module.image_shape[0]), int(pl_module.image_shape[1]), int(pl_module.image_shape[2]))
        with isolate_rng():  # a network draws its initial weights before it gets those of a file
            during_fit, images = trainer.state.fn == "fit", data.train_images
            self.network, notes = choose_extractor(self.option, data, shape, during_fit, images)
        for note in notes:
            self.tell(trainer, note)
        if self.network is not None:
            self.network.prepare(images, measuring_device(pl_module), lambda make: shared(trainer, make))

    def measure(self, trainer: Trainer, pl_module: LightningModule, part: Part, num_samples: int) -> None:
        """Measure and log; a measure that fails is reported, and the others are logged."""
        if self.network is None or not isinstance(pl_module, ImageGenerator):
            return
        network, data = self.network, cast(ImageData, trainer.datamodule)  # type: ignore[attr-defined]
        device = measuring_device(pl_module)
        known = self.real(network, data, "train", network.max_neighbours, device)
        apart: Split = "test" if len(data.test_images) else "val"
        held_out = self.real(network, data, apart, num_samples, device)
        # As many samples as there are held-out images, so that the baseline is of equal numbers.
        n_fake = len(held_out) or min(num_samples, len(known))
        real, others = (held_out, known[:n_fake]) if part == "test" else (known[:num_samples], held_out)
        self.report = {
            "network": network.name,
            "description": network.description,
            "accuracy": network.accuracy,
            "sha256": network.fingerprint,
            "n_real": len(real),
            "n_fake": n_fake,
            "real_images": "test" if part == "test" else "training",
            "seed": self.seed,
        }
        try:
            check_finite(known.features, "training")
            check_finite(held_out.features, "held-out")
            images, labels = self.generated(trainer, pl_module, n_fake)
            measured = self.compared(trainer, images, labels, network, real, known, held_out, device)
        except ValueError as error:
            measured = Measured(problems=[str(error)])
        if (part, num_samples) not in self.baselines and measured.values and len(others):
            self.baselines[part, num_samples] = self.baseline(trainer, network, real, others, device)
        self.report["baseline"] = self.baselines.get((part, num_samples), {})
        self.report["values"], self.report["problems"] = measured.values, measured.problems
        if part == "val" and "fid" in measured.values:
            how = f"{network.fingerprint} {n_fake} {len(real)} {self.seed}"
            self.measured = Distance(trainer.global_step, float(measured.values["fid"]), how)
        for problem in measured.problems:
            self.tell(trainer, f"quality      {problem}")
        logged = {f"{part}/{name}": value for name, value in measured.values.items()}
        logged |= {f"{name}_{network.name}": logged[name] for name in (f"{part}/fid", f"{part}/kid") if name in logged}
        pl_module.log_dict(logged, sync_dist=True)

    def real(
        self, network: FeatureExtractor, data: ImageData, split: Split, count: int, device: torch.device
    ) -> Features:
        """Features of at most `count` of a split's images, chosen by the seed, in random order."""
        if (split, count) not in self.kept:
            images: Tensor = getattr(data, f"{split}_images")
            order = torch.randperm(len(images), generator=torch.Generator().manual_seed(self.seed))[:count]
            labels: Tensor | None = getattr(data, f"{split}_labels", None)
            found = features_of_real(network, images[order], device)
            self.kept[split, count] = replace(found, labels=None if labels is None else labels[order])
        return self.kept[split, count]

    def compared(
        self,
        trainer: Trainer,
        images: Tensor,
        labels: Tensor | None,
        network: FeatureExtractor,
        real: Features,
        known: Features,
        held_out: Features,
        device: torch.device,
    ) -> Measured:
        """The generated `images` (this process's share, in [0, 1]), of the classes `labels`, against `real` ones.

        Raises:
            UserError: if generated images hold NaN or infinity; raised in all processes.
        """
        finite = images.isfinite().flatten(1).all(dim=1)
        if not trainer.strategy.reduce_boolean_decision(bool(finite.all()), all=True):
            raise UserError(
                f"{int((~finite).sum()):,} of {len(finite):,} generated images hold NaN or infinite pixels: "
                "the generator has diverged, nothing can be measured"
            )
        fake = network.extract((images.clamp(0, 1) * 255).round().to(torch.uint8), device)  # as the real ones: 8 bits
        quality = self.quality(trainer, network, device)
        rank, size = trainer.global_rank, trainer.world_size
        self.update(quality, network, real[rank::size], real=True)
        self.update(quality, network, replace(fake, labels=labels), real=False)
        if len(held_out):
            quality.update_neighbours(known[rank::size].features, held_out[rank::size].features)
        return quality.compute()

    def baseline(
        self, trainer: Trainer, network: FeatureExtractor, real: Features, others: Features, device: torch.device
    ) -> dict[str, float]:
        """The measures of `others`, also real images, in place of generated ones: what a perfect model could reach."""
        quality = self.quality(trainer, network, device)
        rank, size = trainer.global_rank, trainer.world_size
        self.update(quality, network, real[rank::size], real=True)
        self.update(quality, network, others[rank::size], real=False)
        return quality.compute().values

    def quality(self, trainer: Trainer, network: FeatureExtractor, device: torch.device) -> Quality:
        """An empty comparison."""
        asked = len(cast(ImageGenerator, trainer.lightning_module).class_names or ())
        return Quality(network.num_features, network.num_classes, self.seed, device, asked)

    @staticmethod
    def update(quality: Quality, network: FeatureExtractor, found: Features, real: bool) -> None:
        """Add the features of images to a comparison."""
        logits = None if found.logits is None else network.class_logits(found.logits)
        quality.update(found.features, logits, real, found.labels)

    def generated(self, trainer: Trainer, pl_module: ImageGenerator, count: int) -> tuple[Tensor, Tensor | None]:
        """This process's share of `count` generated images in [0, 1] and their labels, both on the CPU.

        GENERATED_AT_ONCE are decoded at a time; there are no labels of an unconditional model.
        """
        generator = torch.Generator().manual_seed(self.seed)
        images, labels = [], []
        for first in range(0, count, GENERATED_AT_ONCE):
            latent = pl_module.draw_latent(min(GENERATED_AT_ONCE, count - first), generator)
            own = latent[trainer.global_rank :: trainer.world_size]
            if len(own):
                images.append(pl_module.decode(own))
                labels.append(own.labels)
        known = [part for part in labels if part is not None]
        return torch.cat(images), torch.cat(known) if known else None

    def tell(self, trainer: Trainer, text: str) -> None:
        """Print `text` to stderr, once."""
        if trainer.is_global_zero and text not in self.told:
            self.told.add(text)
            print(text, file=sys.stderr)

    def table(self) -> str | None:
        """The last measurement as text; None if there was none."""
        return table(self.report) if self.report else None
