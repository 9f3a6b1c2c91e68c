import math

import pytest
import torch
from torch import distributions

from lightning_models.losses.likelihoods import Bernoulli, BinarizedBernoulli, Gaussian, Likelihood
from lightning_models.modules.injection import build, describe

LOGITS = (-math.inf, math.inf)


def per_image(log_density):
    return log_density.flatten(1).sum(dim=1)


def test_bernoulli_is_that_of_torch_on_zeros_and_ones():
    logits, pixels = torch.randn(5, 2, 3, 4), torch.rand(5, 2, 3, 4).round()
    expected = per_image(distributions.Bernoulli(logits=logits).log_prob(pixels))
    assert torch.allclose(Bernoulli().log_likelihood(logits, pixels), expected, rtol=1e-5)


def test_grey_pixels_have_a_cross_entropy_whose_best_value_is_their_own_entropy():
    grey = torch.full((1, 1, 2, 2), 0.25, dtype=torch.float64)
    entropy = -4 * (0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    best = torch.logit(grey)
    assert -Bernoulli().log_likelihood(best, grey).item() == pytest.approx(entropy, rel=1e-6)
    for worse in (best - 0.1, best + 0.1):
        assert -Bernoulli().log_likelihood(worse, grey).item() > entropy


def test_bernoulli_keeps_its_gradient_where_the_decoder_is_sure_and_wrong():
    logits = torch.full((1, 1, 1, 1), -200.0, requires_grad=True)
    log_likelihood = Bernoulli().log_likelihood(logits, torch.ones(1, 1, 1, 1))
    log_likelihood.sum().backward()
    assert log_likelihood.item() == pytest.approx(-200)
    assert logits.grad.item() == pytest.approx(1)


@pytest.mark.parametrize("learned", [False, True])
def test_gaussian_is_a_density_in_nats_with_its_constant(learned):
    mean, pixels = torch.randn(5, 1, 3, 4), torch.randn(5, 1, 3, 4)
    expected = per_image(distributions.Normal(mean, math.sqrt(0.3)).log_prob(pixels))
    assert torch.allclose(Gaussian(0.3, learned).log_likelihood(mean, pixels), expected, rtol=1e-5)


def test_the_best_learned_variance_is_the_mean_squared_error():
    mean, pixels = torch.randn(50, 1, 4, 4), torch.randn(50, 1, 4, 4)
    mse = (mean - pixels).square().mean().item()
    likelihood = Gaussian(mse, learned=True)
    likelihood.log_likelihood(mean, pixels).mean().backward()
    assert likelihood.log_variance.grad.item() == pytest.approx(0, abs=1e-5)
    assert list(Gaussian(mse).parameters()) == []


def test_binarised_pixels_are_white_as_often_as_they_are_grey_and_drawn_again_each_time():
    images = torch.tensor([0.0, 0.2, 0.9, 1.0]).view(4, 1, 1, 1).expand(4, 1, 50, 50)
    likelihood = BinarizedBernoulli()
    drawn = likelihood.observe(images)
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    assert drawn.mean(dim=(1, 2, 3)).tolist() == pytest.approx([0, 0.2, 0.9, 1], abs=0.03)
    assert not torch.equal(drawn, likelihood.observe(images))

    def fixed(seed):
        return likelihood.observe(images, torch.Generator().manual_seed(seed))

    assert torch.equal(fixed(1), fixed(1))
    assert not torch.equal(fixed(1), fixed(2))


def test_two_processes_binarise_differently_and_together_as_one_does(monkeypatch):
    images = torch.full((4, 1, 3, 3), 0.5)

    def draw(rank, world_size, count):
        monkeypatch.setattr(torch.distributed, "is_initialized", lambda: world_size > 1)
        monkeypatch.setattr(torch.distributed, "get_world_size", lambda: world_size)
        monkeypatch.setattr(torch.distributed, "get_rank", lambda: rank)
        torch.manual_seed(0)
        return BinarizedBernoulli().observe(images[:count])

    one, first, second = draw(0, 1, 4), draw(0, 2, 2), draw(1, 2, 2)
    assert torch.equal(one[0::2], first)
    assert torch.equal(one[1::2], second)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("likelihood", [Bernoulli(), BinarizedBernoulli(), Gaussian()])
def test_log_likelihoods_are_float32_under_bfloat16(likelihood):
    output = torch.randn(2, 1, 4, 4, dtype=torch.bfloat16)
    assert likelihood.log_likelihood(output, torch.rand(2, 1, 4, 4)).dtype == torch.float32
    assert likelihood.expected(output).dtype == torch.float32


def test_the_expected_picture():
    assert Bernoulli().expected(torch.tensor([0.0, 1.0])).tolist() == pytest.approx([0.5, 0.7310586])
    assert Gaussian().expected(torch.tensor([-0.5, 1.0])).tolist() == [-0.5, 1.0]


@pytest.mark.parametrize("likelihood", [Bernoulli(), BinarizedBernoulli()])
def test_bernoulli_needs_pixels_in_0_to_1_and_logits(likelihood):
    name = type(likelihood).__name__
    likelihood.check((0.0, 1.0), LOGITS)
    with pytest.raises(ValueError, match=rf"the {name} .*data's are in \[-1.0, 1.0\]: set data.value_range to \[0.0"):
        likelihood.check((-1.0, 1.0), LOGITS)
    with pytest.raises(ValueError, match=r"returns values in \[0.0, 1.0\]: set model.decoder.output to none"):
        likelihood.check((0.0, 1.0), (0.0, 1.0))


def test_gaussian_needs_a_decoder_that_reaches_the_pixels():
    for value_range, output_range in [((-1.0, 1.0), (-1.0, 1.0)), ((0.0, 1.0), LOGITS), ((0.0, 1.0), (-1.0, 1.0))]:
        Gaussian().check(value_range, output_range)
    with pytest.raises(ValueError, match=r"set model.decoder.output to tanh or none"):
        Gaussian().check((-1.0, 1.0), (0.0, 1.0))
    with pytest.raises(ValueError, match=r"model.likelihood.variance is 0.0"):
        Gaussian(0.0)


def test_a_likelihood_object_is_described_by_its_options():
    description = describe(Gaussian(0.5, learned=True))
    assert description["init_args"] == {"variance": 0.5, "learned": True}
    rebuilt = build(description, Likelihood)
    assert isinstance(rebuilt, Gaussian)
    assert rebuilt.log_variance.item() == pytest.approx(math.log(0.5))
