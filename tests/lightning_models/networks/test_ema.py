import pytest
import torch
from torch import nn

from lightning_models.networks import DCGANDiscriminator, DCGANGenerator, ExponentialMovingAverage


def test_after_k_updates_towards_one_the_average_is_one_minus_decay_to_the_k():
    network = nn.Linear(3, 2)
    nn.init.zeros_(network.weight)
    nn.init.zeros_(network.bias)
    ema = ExponentialMovingAverage(network)
    nn.init.ones_(network.weight)
    for _ in range(5):
        ema.update(network, decay=0.9)
    torch.testing.assert_close(ema.average.weight, torch.full((2, 3), 1 - 0.9**5))
    assert torch.equal(ema.average.bias, torch.zeros(2))


def test_decay_may_change_between_updates():
    network = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(network.weight)
    ema = ExponentialMovingAverage(network)
    nn.init.ones_(network.weight)
    ema.update(network, decay=0.5)
    ema.update(network, decay=0.0)
    assert ema.average.weight.item() == 1


def test_it_starts_as_an_exact_copy_with_a_life_of_its_own():
    generator = DCGANGenerator(5, (1, 8, 8), width=4).eval()
    ema = ExponentialMovingAverage(generator).eval()
    latent = torch.randn(3, 5)
    images = ema(latent)
    assert torch.equal(images, generator(latent))
    nn.init.zeros_(generator.layers[1].weight)
    assert torch.equal(ema(latent), images)


def test_buffers_are_copied_and_nothing_requires_a_gradient():
    generator = DCGANGenerator(5, (1, 8, 8), width=4)
    ema = ExponentialMovingAverage(generator)
    generator(torch.randn(16, 5))  # moves BatchNorm's running statistics
    ema.update(generator, decay=0.9)
    for averaged, current in zip(ema.average.buffers(), generator.buffers(), strict=True):
        assert torch.equal(averaged, current)
    assert not any(parameter.requires_grad for parameter in ema.parameters())
    assert all(parameter.requires_grad for parameter in generator.parameters())


@pytest.mark.parametrize("channels_last", [False, True])
def test_average_of_a_spectrally_normalized_network(channels_last):
    torch.manual_seed(0)
    network = DCGANDiscriminator((3, 16, 16), width=4, spectral_norm=True)
    if channels_last:
        network.to(memory_format=torch.channels_last)
    images = torch.randn(4, 3, 16, 16)
    network(images)
    ema = ExponentialMovingAverage(network)
    before = [parameter.clone() for parameter in ema.parameters()]
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1)
    ema.update(network, decay=0.75)
    for averaged, old in zip(ema.parameters(), before, strict=True):
        torch.testing.assert_close(averaged, old + 0.25)
    assert ema(images).isfinite().all()


def test_its_state_is_saved_and_loaded():
    first, second = (ExponentialMovingAverage(nn.Linear(3, 2)) for _ in range(2))
    second.load_state_dict(first.state_dict())
    assert torch.equal(second.average.weight, first.average.weight)
