"""Variational autoencoders: the evidence lower bound (ELBO), written out."""

import math
from collections.abc import Callable
from typing import Any

import torch
from pytorch_lightning.cli import OptimizerCallable
from torch import Tensor, nn
from torchmetrics import MeanMetric

from lab.errors import UserError
from lightning_models.losses.likelihoods import Likelihood
from lightning_models.metrics.active_units import ActiveUnits
from lightning_models.modules.batch_counting import batches_before, should_log
from lightning_models.modules.batch_norm import check_batches_of_one
from lightning_models.modules.checks import check_at_least
from lightning_models.modules.clipping import ClipsGradients
from lightning_models.modules.evaluation_mode import evaluating
from lightning_models.modules.image_generator import ImageGenerator, generate
from lightning_models.modules.injection import build, default
from lightning_models.modules.latent import Latents, sample_latent
from lightning_models.modules.optimizers import build_optimizer
from lightning_models.modules.schedules import Schedule
from lightning_models.networks import Discriminator, Generator, ImageShape
from lightning_models.networks.conditioning import build_network

EVALUATION_METRICS = ("loss", "elbo", "reconstruction", "kl", "importance_weighted_bound")
IMAGES_AT_ONCE = 2048  # decoded in one batch for the importance-weighted bound


class VAE(ClipsGradients, ImageGenerator):
    """An encoder and a decoder that maximise the ELBO together (Kingma & Welling 2014).

    The networks are those of the GAN: the encoder is a discriminator with two outputs per latent variable, the decoder
    a generator. All quantities are in nats per image: summed over pixels and latent variables, averaged over images.

    By default: DCGAN networks and the cross entropy of grey pixels.

    Args:
        image_shape: (channels, height, width); linked from the data.
        value_range: lowest and highest pixel value; linked from the data. The likelihood must fit it.
        latent_dim: number of latent variables.
        encoder: network images -> (mean, log variance) of the posterior of each latent variable.
        decoder: network latent vectors -> parameters of the likelihood, such as the logits of a Bernoulli.
        likelihood: distribution of an image given the decoder's output.
        beta: weight of the KL divergence in the loss (Higgins et al. 2017); 1: the ELBO.
        kl_warmup_batches: number of batches in which that weight grows linearly from 0.
        kl_warmup_epochs: the same in epochs; set at most one of the two.
        free_bits: nats per latent variable below which its KL, averaged over the batch, is no longer reduced
            (Kingma et al. 2016, appendix C.8).
        importance_samples: latent vectors per image for the bound that `test` logs in addition; 0: no such bound.
        optimizer: of encoder, decoder and likelihood.
        schedule: of the learning rate over the training: Constant, Linear, Cosine, OneCycle or Steps.
        compile_networks: compile both networks with torch.compile (adds tens of seconds at the start).
        conditional: both networks are given the class of each image, which comes with the data.
        class_names: name of each class; linked from the data.

    Raises:
        UserError: for a likelihood that does not fit the data or the decoder, data without labels for conditional
            networks, or an option out of its range; when
            training starts, for a batch of one image that BatchNorm cannot train on.
    """

    monitor = "val/elbo"

    def __init__(
        self,
        image_shape: ImageShape,
        value_range: tuple[float, float] = (0.0, 1.0),
        latent_dim: int = 20,
        encoder: Callable[[ImageShape, int], Discriminator] = default(
            "lightning_models.networks.DCGANDiscriminator", width=32
        ),
        decoder: Callable[[int, ImageShape], Generator] = default(
            "lightning_models.networks.DCGANGenerator", width=32, output="none"
        ),
        likelihood: Likelihood = default("lightning_models.losses.Bernoulli"),
        beta: float = 1.0,
        kl_warmup_batches: int = 0,
        kl_warmup_epochs: int = 0,
        free_bits: float = 0.0,
        importance_samples: int = 50,
        optimizer: OptimizerCallable = default("torch.optim.Adam", lr=1e-3),
        schedule: Schedule = default("lightning_models.modules.schedules.Constant"),
        compile_networks: bool = False,
        conditional: bool = False,
        class_names: list[str] | None = None,
    ) -> None:
        super().__init__()
        self.keep_hyperparameters()
        check_at_least("model.latent_dim", latent_dim, 1)
        check_at_least("model.beta", beta, 0)
        check_at_least("model.kl_warmup_batches", kl_warmup_batches, 0)
        check_at_least("model.kl_warmup_epochs", kl_warmup_epochs, 0)
        check_at_least("model.free_bits", free_bits, 0)
        check_at_least("model.importance_samples", importance_samples, 0)
        if kl_warmup_batches and kl_warmup_epochs:
            raise UserError(
                f"model.kl_warmup_batches is {kl_warmup_batches} and model.kl_warmup_epochs is {kl_warmup_epochs}: "
                "set one of them"
            )
        channels, height, width = image_shape  # a checkpoint stores a list
        self.image_shape, self.latent_dim = (channels, height, width), latent_dim
        self.value_range, self.beta, self.free_bits = value_range, beta, free_bits
        self.kl_warmup_batches, self.kl_warmup_epochs = kl_warmup_batches, kl_warmup_epochs
        self.importance_samples = importance_samples
        self.optimizer, self.schedule, self.compile_networks = optimizer, build(schedule, Schedule), compile_networks

        classes = self.set_classes(conditional, class_names)
        self.encoder = build_network(encoder, Discriminator, classes, image_shape, 2 * latent_dim)
        self.decoder = build_network(decoder, Generator, classes, latent_dim, image_shape)
        if self.decoder.class_embedding is not None:  # as long as a latent vector, which then carries less of the class
            nn.init.normal_(self.decoder.class_embedding.weight)
        self.likelihood = build(likelihood, Likelihood)
        self.likelihood.check(value_range, self.decoder.output_range)
        # channels-last makes convolutions on the CPU 1.5 times as fast; results are the same.
        self.encoder.to(memory_format=torch.channels_last)
        self.decoder.to(memory_format=torch.channels_last)
        self.active_units = ActiveUnits(latent_dim)
        self.evaluation = nn.ModuleDict({name: MeanMetric() for name in EVALUATION_METRICS})

    def configure_optimizers(self) -> Any:
        return self.schedule.configure(build_optimizer(self.optimizer, self.parameters()), self.trainer)

    def setup(self, stage: str) -> None:
        if self.compile_networks and stage == "fit":
            self.encoder.compile()
            self.decoder.compile()

    def on_fit_start(self) -> None:
        super().on_fit_start()
        self.learn_class_shares()
        encoder, decoder = (self.encoder, self.image_shape), (self.decoder, (self.latent_dim,))
        check_batches_of_one(self, {"encoder": encoder, "decoder": decoder})

    # ------------------------------------------------------------------------------------------------------- training

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """The loss: reconstruction error + weight * KL, with the weight `beta` after the warm-up."""
        reconstruction, kl, _ = self.elbo_terms(batch[0], labels=batch[1])
        reconstruction, kl = reconstruction.mean(), kl.mean(dim=0)  # scalar; (latent_dim,)
        kl_weight = self.beta * self.warmed_up(batch_idx)
        loss = reconstruction + kl_weight * kl.clamp(min=self.free_bits).sum()

        if should_log(self.trainer):
            terms = {"loss": loss, "reconstruction": reconstruction, "kl": kl.sum()}
            metrics = {f"train/{name}": value.detach() for name, value in terms.items()}
            rate = self.trainer.optimizers[0].param_groups[0]["lr"]
            self.log_dict({**metrics, "train/kl_weight": kl_weight, "train/learning_rate": rate})
        return loss

    def elbo_terms(
        self, images: Tensor, generator: torch.Generator | None = None, labels: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Reconstruction error (batch,), KL (batch, latent_dim), both in nats, and posterior mean (batch, latent_dim).

        With a `generator`, all random numbers are drawn from it. A conditional VAE needs the `labels` (batch,).
        """
        observed = self.likelihood.observe(images, generator)
        mean, log_variance = self.encode(observed, labels)
        latent = mean + (0.5 * log_variance).exp() * self.draw_noise(len(mean), generator)
        reconstruction = -self.likelihood.log_likelihood(self.decoder(latent, *self.given(labels)), observed)
        return reconstruction, kl_to_standard_normal(mean, log_variance), mean

    def warmed_up(self, batch_idx: int) -> float:
        """The share of `beta` that the KL is weighted with in this batch, from 0 to 1."""
        if self.kl_warmup_batches:
            return min(1.0, batches_before(self.trainer) / self.kl_warmup_batches)
        if self.kl_warmup_epochs:
            epochs = self.current_epoch + batch_idx / self.trainer.num_training_batches
            return min(1.0, epochs / self.kl_warmup_epochs)
        return 1.0

    def encode(self, observed: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean and log variance of the posterior of each image, (batch, latent_dim) float32 each.

        Raises:
            UserError: for images of another shape than the networks were built for.
        """
        if observed.shape[1:] != self.image_shape:
            raise UserError(
                f"the images are {' x '.join(map(str, observed.shape[1:]))}, but this VAE was built for "
                f"{' x '.join(map(str, self.image_shape))} (channels x height x width): use images of that shape"
            )
        mean, log_variance = (
            self.encoder(observed, *self.given(labels)).float().chunk(2, dim=1)
        )  # losses are float32 also under bfloat16
        return mean, log_variance

    def draw_noise(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Vectors (count, latent_dim) from N(0, 1) on the module's device, different ones in each process."""
        return sample_latent(count, self.latent_dim, "normal", self.device, generator)

    # ----------------------------------------------------------------------------------------------------- evaluation

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self.evaluate(batch, batch_idx, "val")

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Measure the ELBO and the importance-weighted bound on the test images."""
        self.evaluate(batch, batch_idx, "test")
        if self.importance_samples:
            bound = self.importance_weighted_bound(
                batch[0], self.importance_samples, fixed_noise(batch_idx), batch[1]
            ).mean()
            self.log_means({"importance_weighted_bound": bound}, len(batch[0]), "test")

    def evaluate(self, batch: tuple[Tensor, Tensor], batch_idx: int, prefix: str) -> None:
        """Log the means over all images, with one latent vector each, from the same noise at every evaluation.

        `elbo` is -(reconstruction + kl) for every beta: a lower bound on log p(x), higher is better, and never positive
        for pixels of 0 and 1. `loss` is reconstruction + beta * kl, without warm-up and free bits.
        """
        images, labels = batch
        reconstruction, kl, posterior_mean = self.elbo_terms(images, fixed_noise(batch_idx), labels)
        reconstruction, kl = reconstruction.mean(), kl.sum(dim=1).mean()
        loss, elbo = reconstruction + self.beta * kl, -(reconstruction + kl)
        means = {"loss": loss, "elbo": elbo, "reconstruction": reconstruction, "kl": kl}
        self.log_means(means, len(images), prefix)
        self.active_units.update(posterior_mean)
        self.log(f"{prefix}/active_units", self.active_units, on_epoch=True)

    def log_means(self, means: dict[str, Tensor], count: int, prefix: str) -> None:
        """Add the means of a batch of `count` images; all images weigh the same, also over several processes."""
        for name, value in means.items():
            mean: Any = self.evaluation[name]
            mean.update(value, weight=count)
            self.log(f"{prefix}/{name}", mean, on_step=False, on_epoch=True)

    def on_predict_start(self) -> None:
        self.check_predicted()

    def predict_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> dict[str, Tensor]:
        """ELBO, reconstruction error and KL of each image in nats, (batch,) each."""
        reconstruction, kl, _ = self.elbo_terms(batch[0], fixed_noise(batch_idx), batch[1])
        kl = kl.sum(dim=1)
        return {"elbo": -(reconstruction + kl), "reconstruction": reconstruction, "kl": kl}

    @torch.no_grad()
    def importance_weighted_bound(
        self, images: Tensor, samples: int, generator: torch.Generator, labels: Tensor | None = None
    ) -> Tensor:
        """Lower bound on log p(x) of each image from `samples` latent vectors, in nats (Burda et al. 2016, eq. 8).

        The result is (batch,): the log of the mean of p(x | z) p(z) / q(z | x) over z from the posterior q. Its
        expectation is the ELBO for one vector and increases with their number. At most IMAGES_AT_ONCE images are
        decoded at a time.
        """
        observed = self.likelihood.observe(images, generator)
        mean, log_variance = self.encode(observed, labels)
        noise = self.draw_noise(samples * len(images), generator).view(samples, *mean.shape)
        log_weights = []
        for part in torch.split(noise, max(1, IMAGES_AT_ONCE // len(images))):  # (samples at once, batch, latent_dim)
            latent = mean + (0.5 * log_variance).exp() * part
            output = self.decoder(
                latent.flatten(0, 1), *self.given(None if labels is None else labels.repeat(len(part)))
            )
            log_likelihood = self.likelihood.log_likelihood(output, observed.repeat(len(part), 1, 1, 1))
            prior_to_posterior = 0.5 * (part.square() + log_variance - latent.square()).sum(dim=2)
            log_weights.append(log_likelihood.view(len(part), -1) + prior_to_posterior)
        return torch.cat(log_weights).logsumexp(dim=0) - math.log(samples)

    # ----------------------------------------------------------------------------------------------------- generation

    def draw_vectors(self, count: int, generator: torch.Generator) -> Tensor:
        return sample_latent(count, self.latent_dim, "normal", "cpu", generator, world_size=1)

    def decode(self, latent: Latents | Tensor) -> Tensor:
        """Images in [0, 1]: the mean of p(x | latent), which is what papers show, not a sample from it."""
        return self.in_unit_range(self.likelihood.expected(generate(self.decoder, latent, self.device)))

    @torch.no_grad()
    def posterior(self, observed: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean and log variance as from `encode`, with the encoder in evaluation mode; on the CPU."""
        with evaluating(self.encoder):
            mean, log_variance = self.encode(
                observed.to(self.device), None if labels is None else labels.to(self.device)
            )
        return mean.cpu(), log_variance.cpu()

    def in_unit_range(self, images: Tensor) -> Tensor:
        """Map `images` from the data's value range to [0, 1], clamped."""
        low, high = self.value_range
        return ((images - low) / (high - low)).clamp(0, 1)


def kl_to_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, exp(log_variance)) || N(0, 1)) of each latent variable, in nats (Kingma & Welling 2014, appendix B).

    Both arguments and the result are (batch, latent_dim); the result is >= 0. Summed over the variables, not averaged,
    it can be added to a reconstruction error summed over pixels without a weight.
    """
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)


def fixed_noise(batch_idx: int) -> torch.Generator:
    """A generator that gives an evaluation batch the same noise every time; on the CPU, so the same on every device."""
    return torch.Generator().manual_seed(batch_idx)
