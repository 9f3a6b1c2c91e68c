import math

import pytest
import torch
from torch import nn

from lightning_models.networks import ConvDiscriminator, DCGANDiscriminator, MLPDiscriminator
from lightning_models.networks.layers import activation_layer, initialize, normalization_layer, output_layer


def test_dcgan_initialization_draws_weights_with_standard_deviation_0_02():
    torch.manual_seed(0)
    network = nn.Sequential(nn.ConvTranspose2d(64, 64, 4), nn.BatchNorm2d(2000), nn.Linear(100, 100))
    initialize(network, "dcgan")
    for layer, mean in zip(network, (0, 1, 0), strict=True):
        assert layer.weight.mean().item() == pytest.approx(mean, abs=0.002)
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.05)
        assert not layer.bias.any()


def test_glorot_initialization_is_uniform_up_to_its_bound():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(32, 64, 5), nn.BatchNorm2d(8))
    initialize(network, "glorot")
    bound = math.sqrt(6 / (25 * (32 + 64)))
    assert network[0].weight.max().item() == pytest.approx(bound, rel=0.001)
    assert network[0].weight.min().item() == pytest.approx(-bound, rel=0.001)
    assert network[0].weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.02)
    assert not network[0].bias.any()
    assert torch.equal(network[1].weight, torch.ones(8))


def test_torch_initialization_leaves_the_weights_alone():
    layer = nn.Linear(4, 4)
    before = layer.weight.clone()
    initialize(layer, "torch")
    assert torch.equal(layer.weight, before)


@pytest.mark.parametrize("leaky_slope", [0.0, 0.2])
def test_slope_of_the_activation(leaky_slope):
    activation = activation_layer(leaky_slope)
    torch.testing.assert_close(activation(torch.tensor([-2.0, 3.0])), torch.tensor([-2 * leaky_slope, 3.0]))


def test_what_each_normalization_brings_to_mean_zero_and_variance_one():
    maps = 5 + 3 * torch.randn(4, 6, 8, 8)
    for normalization, dims in {"batch": (0, 2, 3), "instance": (2, 3), "layer": (1, 2, 3)}.items():
        layer = normalization_layer(normalization, 6, (8, 8))
        assert sum(parameter.numel() for parameter in layer.parameters()) == 12  # a gain and a bias for each channel
        variance, mean = torch.var_mean(layer(maps), dim=dims, correction=0)
        torch.testing.assert_close(mean, torch.zeros_like(mean), atol=1e-5, rtol=0)
        torch.testing.assert_close(variance, torch.ones_like(variance), atol=1e-4, rtol=0)
    # One group, not several: those would also leave the whole map with mean 0 and variance 1.
    layer = normalization_layer("layer", 6, (8, 8))
    torch.testing.assert_close(layer(maps), nn.functional.layer_norm(maps, (6, 8, 8)))
    assert torch.equal(normalization_layer("none", 6, (8, 8))(maps), maps)


def test_outputs_are_in_the_range_of_their_name():
    extreme = torch.tensor([-50.0, 0.0, 50.0])
    torch.testing.assert_close(output_layer("tanh")(extreme), torch.tensor([-1.0, 0.0, 1.0]))
    torch.testing.assert_close(output_layer("sigmoid")(extreme), torch.tensor([0.0, 0.5, 1.0]))


@pytest.mark.parametrize(
    "discriminator",
    [
        lambda **options: MLPDiscriminator((1, 16, 16), hidden_dims=(32, 16), **options),
        lambda **options: ConvDiscriminator((1, 16, 16), channels=(8, 16), **options),
        lambda **options: DCGANDiscriminator((1, 16, 16), width=8, **options),
    ],
    ids=["mlp", "conv", "dcgan"],
)
def test_spectral_norm_brings_the_largest_singular_value_of_every_layer_to_one(discriminator):
    def largest_singular_values(network):
        return [
            torch.linalg.matrix_norm(layer.weight.flatten(1), ord=2).item()
            for layer in network.modules()
            if isinstance(layer, nn.Linear | nn.Conv2d)
        ]

    torch.manual_seed(0)
    network = discriminator(spectral_norm=True)
    for _ in range(30):  # each forward in training mode is one power iteration
        network(torch.randn(2, 1, 16, 16))
    assert largest_singular_values(network.eval()) == pytest.approx([1.0] * 3, abs=0.02)
    assert max(abs(value - 1) for value in largest_singular_values(discriminator())) > 0.1


@pytest.mark.parametrize("option", ["normalization", "initialization"])
def test_unknown_choices_are_answered_with_the_known_ones(option):
    known = {
        "normalization": "'batch', 'instance', 'layer', 'none'",
        "initialization": "'torch', 'dcgan', 'glorot'",
    }
    with pytest.raises(ValueError, match=f"{option} 'group' is unknown: choose one of {known[option]}"):
        DCGANDiscriminator((1, 16, 16), width=4, **{option: "group"})
