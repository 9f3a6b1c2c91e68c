"""The bounds of the VAE against models whose log-likelihood is known."""

import functools
import math

import pytest
import torch
from torch import distributions

from lightning_models.losses.likelihoods import BinarizedBernoulli, Gaussian
from lightning_models.metrics.active_units import ActiveUnits
from lightning_models.networks import MLPDiscriminator, MLPGenerator
from lightning_models.vae import VAE, kl_to_standard_normal

IMAGE_SHAPE = (1, 8, 8)
SMALL = {
    "latent_dim": 4,
    "encoder": functools.partial(MLPDiscriminator, hidden_dims=[32]),
    "decoder": functools.partial(MLPGenerator, hidden_dims=[32], batch_norm=False, output="none"),
}
LINEAR = {
    "encoder": functools.partial(MLPDiscriminator, hidden_dims=[]),
    "decoder": functools.partial(MLPGenerator, hidden_dims=[], output="none"),
}


def test_kl_is_that_of_torch_and_never_negative():
    mean, log_variance = torch.randn(50, 4), torch.randn(50, 4)
    posterior = distributions.Normal(mean, (0.5 * log_variance).exp())
    expected = distributions.kl_divergence(posterior, distributions.Normal(0.0, 1.0))
    kl = kl_to_standard_normal(mean, log_variance)
    assert torch.allclose(kl, expected, atol=1e-5)
    assert (kl >= 0).all()
    assert kl_to_standard_normal(torch.zeros(1, 4), torch.zeros(1, 4)).sum() == 0


def linear_gaussian(variance=0.2):
    """A VAE whose log p(x) is known, with the exact posterior as its encoder; and that log p(x)."""
    vae = VAE(IMAGE_SHAPE, latent_dim=2, likelihood=Gaussian(variance), **LINEAR)
    weight = torch.linalg.qr(torch.randn(64, 2)).Q * torch.tensor([2.0, 1.0])  # orthogonal: the posterior's covariance
    bias = torch.randn(64)  # is diagonal, as the encoder's
    precision = 1 + weight.square().sum(dim=0) / variance
    decoder, encoder = vae.decoder.layers[0], vae.encoder.layers[1]
    with torch.no_grad():
        decoder.weight.copy_(weight)
        decoder.bias.copy_(bias)
        encoder.weight.zero_()
        encoder.weight[:2] = weight.T / (variance * precision[:, None])
        encoder.bias[:2] = -encoder.weight[:2] @ bias
        encoder.bias[2:] = -precision.log()
    covariance = weight @ weight.T + variance * torch.eye(64)
    return vae.eval(), distributions.MultivariateNormal(bias, covariance)


def test_elbo_with_the_exact_posterior_is_the_log_density_of_the_data():
    vae, density = linear_gaussian()
    image = density.sample((1,))
    expected = density.log_prob(image).item()
    with torch.no_grad():
        reconstruction, kl, _ = vae.elbo_terms(image.view(1, *IMAGE_SHAPE).expand(20_000, *IMAGE_SHAPE))
    assert -(reconstruction + kl.sum(dim=1)).mean().item() == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("samples", [1, 7])
def test_importance_weighted_bound_with_the_exact_posterior_is_exact_for_every_image(samples):
    vae, density = linear_gaussian()
    images = density.sample((5,))
    bound = vae.importance_weighted_bound(images.view(5, *IMAGE_SHAPE), samples, torch.Generator().manual_seed(0))
    assert torch.allclose(bound, density.log_prob(images), atol=1e-3)


def test_importance_weighted_bound_lies_between_elbo_and_log_density():
    vae, density = linear_gaussian()
    with torch.no_grad():
        vae.encoder.layers[1].bias[2:] += 1.0  # e times the true variance
    images = density.sample((2000,))
    log_density = density.log_prob(images).mean().item()
    images = images.view(-1, *IMAGE_SHAPE)

    def bound(samples):
        return vae.importance_weighted_bound(images, samples, torch.Generator().manual_seed(0)).mean().item()

    gap = 2 * 0.5 * (math.e - 1 - 1)  # KL of the posteriors: two variables, each (r - 1 - ln r) / 2 with r = e
    assert bound(1) == pytest.approx(log_density - gap, abs=0.1)
    assert bound(1) + 0.3 < bound(5) < bound(50) < log_density + 0.01
    assert bound(50) == pytest.approx(log_density, abs=0.05)


def test_importance_weighted_bound_does_not_depend_on_how_many_are_decoded_at_once(monkeypatch):
    vae = VAE(IMAGE_SHAPE, **SMALL, likelihood=BinarizedBernoulli()).eval()
    images = torch.rand(6, *IMAGE_SHAPE)
    decoded = []
    vae.decoder.register_forward_pre_hook(lambda _, args: decoded.append(len(args[0])))

    def bound():
        return vae.importance_weighted_bound(images, 10, torch.Generator().manual_seed(0))

    at_once = bound()
    monkeypatch.setattr("lightning_models.vae.IMAGES_AT_ONCE", 20)
    assert torch.allclose(at_once, bound(), atol=1e-4)
    assert decoded == [60, 18, 18, 18, 6]


def test_active_units_are_those_whose_posterior_mean_varies():
    std = torch.tensor([1.0, 0.2, 0.05, 0.0])  # variances 1, 0.04, 0.0025, 0
    means = torch.randn(1000, 4) * std + torch.tensor([0.0, 3.0, 3.0, 3.0])
    metric, first, second = ActiveUnits(4), ActiveUnits(4), ActiveUnits(4)
    metric.update(means)
    assert metric.compute() == 2
    for part in means[:700].split(100):
        first.update(part)
    second.update(means[700:])
    first.merge_state(second)  # as over processes
    assert first.compute() == 2
    assert torch.allclose(first.total_of_squares, metric.total_of_squares)


@pytest.mark.parametrize(("threshold", "active"), [(0.01, 2), (0.5, 1), (2.0, 0)])
def test_the_threshold_of_active_units(threshold, active):
    metric = ActiveUnits(3, threshold)
    metric.update(torch.tensor([[-1.0, 0.3, 5.0], [1.0, -0.3, 5.0]]))  # variances 1, 0.09 and 0
    assert metric.compute().item() == active
