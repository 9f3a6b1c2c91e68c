"""Generative adversarial networks: the one place where discriminator and generator are updated.

Every variant is a combination of an objective, regularizers and two networks; `gan_variants` has the defaults of other
papers.
"""

from collections.abc import Callable
from typing import Any

import torch
from pytorch_lightning.cli import OptimizerCallable
from torch import Tensor, nn
from torch.optim import Optimizer
from torchmetrics import MeanMetric

from lab.compat.unused_parameters import find_unused_parameters
from lab.errors import UserError
from lightning_models.losses.objectives import Objective
from lightning_models.losses.regularizers import Critic, Regularizer, Regularizers
from lightning_models.modules.adversarial_schedules import AdversarialSchedules
from lightning_models.modules.augmentation import Augmentation
from lightning_models.modules.batch_norm import check_batches_of_one
from lightning_models.modules.checks import check_above_zero, check_at_least
from lightning_models.modules.evaluation_mode import frozen
from lightning_models.modules.image_generator import ImageGenerator, generate
from lightning_models.modules.injection import build, build_list, default
from lightning_models.modules.latent import (
    LatentDistribution,
    Latents,
    own_noise_like,
    sample_latent,
    sample_latent_of_any_number,
)
from lightning_models.modules.manual_optimization import ManualOptimization
from lightning_models.modules.optimizers import build_optimizer
from lightning_models.modules.schedules import Schedule
from lightning_models.networks import Discriminator, ExponentialMovingAverage, Generator, ImageShape
from lightning_models.networks.conditioning import build_network
from lightning_models.networks.ema import scaled_memory


class GAN(ManualOptimization, ImageGenerator):
    """A generator and a discriminator that are trained against each other (Goodfellow et al. 2014).

    By default: DCGAN networks and the optimizers of Radford et al. 2016, with the non-saturating loss.

    Args:
        image_shape: (channels, height, width); linked from the data.
        value_range: lowest and highest pixel value; linked from the data. The generator must have the same range.
        latent_dim: number of latent variables.
        generator: network latent vectors -> images.
        discriminator: network images -> logits; the critic of the Wasserstein papers.
        objective: the losses of the two networks.
        regularizer: penalty on the discriminator, or constraint on its weights, or a list of them; null: none.
        n_critic: updates of the discriminator, one a batch, for each update of the generator.
        noise: distribution of the latent variables.
        fresh_noise: draw new latent variables for the generator's update instead of reusing the discriminator's.
        input_noise: standard deviation of Gaussian noise on the discriminator's inputs, in units of the pixel values.
        input_noise_batches: number of batches in which that noise decays linearly to 0.
        augmentation: of the discriminator's inputs, real and generated alike, in training; null: none.
        ema_decay: decay of the moving average of the generator's weights, which samples are then drawn from.
        schedule: of both learning rates over the training: Constant, Linear, Cosine, OneCycle or Steps.
        penalty_schedule: of the weight of the penalties.
        ema_schedule: of the averaging time 1 / (1 - ema_decay), in updates of the generator.
        gradient_clip_norm: largest norm of the gradients of each network; null: no clipping.
        optimizer_g: the generator's optimizer.
        optimizer_d: the discriminator's optimizer.
        compile_networks: compile both networks with torch.compile (adds tens of seconds at the start).
        conditional: both networks are given the class of each image, which comes with the data.
        class_names: name of each class; linked from the data.

    Raises:
        UserError: for networks that do not fit the data, data without labels for conditional ones, a regularizer that
            does not fit the discriminator, or an option out of its range; when training starts, for a batch of one
            image that BatchNorm cannot train on.
    """

    monitor = "val/fid"  # where it is measured

    def __init__(
        self,
        image_shape: ImageShape,
        value_range: tuple[float, float] = (-1.0, 1.0),
        latent_dim: int = 100,
        generator: Callable[[int, ImageShape], Generator] = default(
            "lightning_models.networks.DCGANGenerator", width=64
        ),
        discriminator: Callable[[ImageShape], Discriminator] = default(
            "lightning_models.networks.DCGANDiscriminator", width=64
        ),
        objective: Objective = default("lightning_models.losses.NonSaturating"),
        regularizer: Regularizer | list[Regularizer] | None = None,
        n_critic: int = 1,
        noise: LatentDistribution = "normal",
        fresh_noise: bool = False,
        input_noise: float = 0.0,
        input_noise_batches: int = 10_000,
        augmentation: Callable[[ImageShape, tuple[float, float]], Augmentation] | None = None,
        ema_decay: float | None = None,
        schedule: Schedule = default("lightning_models.modules.schedules.Constant"),
        penalty_schedule: Schedule = default("lightning_models.modules.schedules.Constant"),
        ema_schedule: Schedule = default("lightning_models.modules.schedules.Constant"),
        gradient_clip_norm: float | None = None,
        optimizer_g: OptimizerCallable = default("torch.optim.Adam", lr=2e-4, betas=[0.5, 0.999]),
        optimizer_d: OptimizerCallable = default("torch.optim.Adam", lr=2e-4, betas=[0.5, 0.999]),
        compile_networks: bool = False,
        conditional: bool = False,
        class_names: list[str] | None = None,
    ) -> None:
        super().__init__()
        self.keep_hyperparameters()
        self.automatic_optimization = False
        check_at_least("model.n_critic", n_critic, 1)
        check_at_least("model.input_noise", input_noise, 0)
        check_at_least("model.input_noise_batches", input_noise_batches, 1)
        if ema_decay is not None and not 0 < ema_decay < 1:
            raise UserError(f"model.ema_decay is {ema_decay}: expected a number between 0 and 1, such as 0.999")
        check_above_zero("model.gradient_clip_norm", gradient_clip_norm)

        self.image_shape, self.value_range, self.latent_dim = image_shape, value_range, latent_dim
        self.n_critic, self.noise, self.fresh_noise = n_critic, noise, fresh_noise
        self.input_noise, self.input_noise_batches = input_noise, input_noise_batches
        self.ema_decay, self.gradient_clip_norm = ema_decay, gradient_clip_norm
        self.schedules = AdversarialSchedules(
            *(build(each, Schedule) for each in (schedule, penalty_schedule, ema_schedule))
        )
        self.optimizer_g, self.optimizer_d, self.compile_networks = optimizer_g, optimizer_d, compile_networks

        classes = self.set_classes(conditional, class_names)
        self.generator = build_network(generator, Generator, classes, latent_dim, image_shape)
        self.discriminator = build_network(discriminator, Discriminator, classes, image_shape)
        self.augmentation = augmentation and build(augmentation, Augmentation, image_shape, value_range)
        self.objective = build(objective, Objective)
        self.regularizers = Regularizers(build_list(regularizer, Regularizer), self.discriminator)
        if tuple(self.generator.output_range) != tuple(value_range):
            raise UserError(
                f"the generator produces values in {list(self.generator.output_range)} but the data's are in "
                f"{list(value_range)}: set model.generator.output to {'sigmoid' if value_range[0] == 0 else 'tanh'}, "
                "or data.value_range to the range of the generator's output"
            )
        # channels-last makes convolutions on the CPU 1.6 times as fast, 3 times with bf16; results are the same.
        self.generator.to(memory_format=torch.channels_last)
        self.discriminator.to(memory_format=torch.channels_last)
        self.generator_ema = None if ema_decay is None else ExponentialMovingAverage(self.generator)
        self.generator_metrics: dict[str, Tensor] = {}  # of the generator's last update
        self.evaluation = nn.ModuleDict({name: MeanMetric() for name in EVALUATION_METRICS})

    def configure_optimizers(self) -> list[Optimizer]:
        """The discriminator's optimizer, then the generator's."""
        return [
            build_optimizer(self.optimizer_d, self.discriminator.parameters()),
            build_optimizer(self.optimizer_g, self.generator.parameters()),
        ]

    def setup(self, stage: str) -> None:
        if self.compile_networks and stage == "fit":
            self.generator.compile()
            self.discriminator.compile()
        find_unused_parameters(self.trainer.strategy)  # each backward pass reaches only one of the two networks

    def on_fit_start(self) -> None:
        super().on_fit_start()
        self.learn_class_shares()
        generator, discriminator = (self.generator, (self.latent_dim,)), (self.discriminator, self.image_shape)
        check_batches_of_one(self, {"generator": generator, "discriminator": discriminator})

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """One update of the discriminator and, every `n_critic` batches, one of the generator."""
        real, labels = batch  # (batch, channels, height, width), in value_range; (batch,)
        critic = self.critic(labels)
        d_optimizer, g_optimizer = self.optimizers()  # type: ignore[attr-defined]
        generator_is_due = (self.trainer.global_step + 1) % self.n_critic == 0
        self.schedules.start_batch(self.trainer)

        with torch.set_grad_enabled(generator_is_due and not self.fresh_noise):  # D alone needs no graph through G
            fake = self.generate_for(real, labels)  # same shape, range and classes as real
        real_logits = critic(self.with_input_noise(real))
        fake_logits = critic(self.with_input_noise(fake.detach()))
        d_loss = self.objective.discriminator_loss(real_logits, fake_logits)
        step, factor = self.trainer.global_step, self.schedules.penalty_factor
        penalty = self.regularizers.penalty(critic, real, fake.detach(), step, factor)
        if self.augmentation is not None:
            self.augmentation.adapt((real_logits - self.objective.threshold(real_logits, fake_logits)).sign(), step)
        d_gradient_norm = self.update(d_optimizer, self.discriminator, d_loss if penalty is None else d_loss + penalty)
        self.regularizers.after_update(self.discriminator)

        if generator_is_due:
            if self.fresh_noise:
                fake = self.generate_for(real, labels)
            with frozen(self.discriminator):
                rival = critic(self.with_input_noise(real)) if self.objective.compares else real_logits
                g_logits = critic(self.with_input_noise(fake))
                g_loss = self.objective.generator_loss(g_logits, rival.detach())
                g_gradient_norm = self.update(g_optimizer, self.generator, g_loss, metrics_within=self.n_critic)
            if g_gradient_norm is not None:
                self.generator_metrics = {"g_loss": g_loss.detach(), "g_gradient_norm": g_gradient_norm}
            self.update_generator_ema()

        if self.should_log():
            metrics = self.discriminator_metrics(d_loss, real_logits, fake_logits)
            metrics |= self.generator_metrics | self.regularizers.metrics()
            if d_gradient_norm is not None:
                metrics["d_gradient_norm"] = d_gradient_norm
            if self.augmentation is not None:
                metrics |= self.augmentation.metrics()
            logged = {name: value.detach() for name, value in metrics.items()} | self.schedules.metrics(self.trainer)
            self.log_dict({f"train/{name}": value for name, value in logged.items()})
        self.count_batch()

    def critic(self, labels: Tensor) -> Critic:
        """The discriminator as a function of images, which it sees augmented; a conditional one with their labels."""

        def logits(images: Tensor) -> Tensor:
            seen = images if self.augmentation is None else self.augmentation(images)
            found: Tensor = self.discriminator(seen, *self.given(labels))
            return found

        return logits

    def update_generator_ema(self) -> None:
        """Update the averaged generator; its memory is short at first, so that it forgets the initial weights.

        After the k-th update of the generator the decay is at most (1 + k) / (10 + k). This happens here and not in
        `on_train_batch_end`, which runs after the checkpoint of the batch is written.
        """
        if self.generator_ema is None or self.ema_decay is None:
            return
        updates = (self.trainer.global_step + 1) // self.n_critic
        decay = scaled_memory(self.ema_decay, self.schedules.ema_factor)
        self.generator_ema.update(self.generator, min(decay, (1 + updates) / (10 + updates)))

    def generate_for(self, real: Tensor, labels: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """As many images as `real` and of the same classes, different ones in each process."""
        latent = sample_latent(len(real), self.latent_dim, self.noise, self.device, generator)
        images: Tensor = self.generator(latent, *self.given(labels))
        return images

    def with_input_noise(self, images: Tensor) -> Tensor:
        """`images` with Gaussian noise that decays linearly over training (report 2; Arjovsky & Bottou 2017)."""
        std = self.input_noise * max(0.0, 1 - self.trainer.global_step / self.input_noise_batches)
        return images + std * own_noise_like(images) if std > 0 else images

    def discriminator_metrics(self, d_loss: Tensor, real_logits: Tensor, fake_logits: Tensor) -> dict[str, Tensor]:
        """D's loss, its accuracies on real and fake images, and the means of D(x) and D(G(z)) of a batch: scalars."""
        accuracy_real, accuracy_fake = self.objective.accuracy(real_logits, fake_logits)
        return {
            "d_loss": d_loss,
            "d_accuracy_real": accuracy_real,
            "d_accuracy_fake": accuracy_fake,
            "d_real": self.objective.score(real_logits).mean(),
            "d_fake": self.objective.score(fake_logits).mean(),
        }

    # ------------------------------------------------------------------------------------------------- evaluation

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self.evaluate(batch, batch_idx, "val")

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self.evaluate(batch, batch_idx, "test")

    def evaluate(self, batch: tuple[Tensor, Tensor], batch_idx: int, prefix: str) -> None:
        """Add a batch to the means of losses and accuracies; all evaluations use the same latent vectors.

        torchmetrics weights all images equally, also over several processes.
        """
        real, labels = batch
        fake = self.generate_for(real, labels, torch.Generator().manual_seed(batch_idx))
        real_logits, fake_logits = (self.discriminator(images, *self.given(labels)) for images in (real, fake))
        metrics = self.discriminator_metrics(
            self.objective.discriminator_loss(real_logits, fake_logits), real_logits, fake_logits
        )
        metrics["g_loss"] = self.objective.generator_loss(fake_logits, real_logits)
        for name, value in metrics.items():
            mean: Any = self.evaluation[name]
            mean.update(value, weight=len(real))
            self.log(f"{prefix}/{name}", mean, on_step=False, on_epoch=True)

    def on_predict_start(self) -> None:
        self.check_predicted()

    def predict_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> dict[str, Tensor]:
        """The discriminator's logit and score D(x) of each image, (batch,) each."""
        logits = self.discriminator(batch[0], *self.given(batch[1])).flatten().float()
        return {"logit": logits, "score": self.objective.score(logits)}

    # ------------------------------------------------------------------------------------------------- generation

    def draw_vectors(self, count: int, generator: torch.Generator) -> Tensor:
        return sample_latent_of_any_number(count, self.latent_dim, self.noise, generator)

    def decode(self, latent: Latents | Tensor) -> Tensor:
        """Images in [0, 1], from the averaged weights if there are any, with BatchNorm in evaluation mode."""
        network = self.generator if self.generator_ema is None else self.generator_ema
        images = generate(network, latent, self.device)
        low, high = self.value_range
        return (images - low) / (high - low)


EVALUATION_METRICS = ("d_loss", "g_loss", "d_accuracy_real", "d_accuracy_fake", "d_real", "d_fake")
