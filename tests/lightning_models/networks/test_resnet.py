from itertools import pairwise

import pytest
import torch

from lab.errors import UserError
from lightning_models.networks import ResNetDiscriminator, ResNetGenerator
from lightning_models.networks.attention import SelfAttention


def size(network):
    return sum(parameter.numel() for parameter in network.parameters())


def convolution(inputs, outputs, kernel):
    return inputs * outputs * kernel**2 + outputs


def up(inputs, outputs):
    """BN, conv 3, BN, conv 3; shortcut of 1 x 1."""
    norms = 2 * inputs + 2 * outputs
    return norms + convolution(inputs, outputs, 3) + convolution(outputs, outputs, 3) + convolution(inputs, outputs, 1)


def down(inputs, outputs, shortcut=True):
    residual = convolution(inputs, outputs, 3) + convolution(outputs, outputs, 3)
    return residual + (convolution(inputs, outputs, 1) if shortcut else 0)


@pytest.mark.parametrize(
    ("side", "base", "widths"),
    [
        (32, 4, (256, 256, 256, 256)),  # Miyato et al. 2018, table 4
        (48, 6, (512, 256, 128, 64)),  # table 5
        (64, 4, (1024, 512, 256, 128, 64)),  # that of 128 x 128 (table 6) without its last doubling
    ],
)
def test_the_generator_has_the_papers_layout(side, base, widths):
    linear = 128 * base * base * widths[0] + base * base * widths[0]
    expected = linear + sum(up(*pair) for pair in pairwise(widths)) + 2 * widths[-1] + convolution(widths[-1], 3, 3)
    assert size(ResNetGenerator(128, (3, side, side))) == expected
    if side == 32:
        assert expected == 4_276_739


def test_the_discriminators_have_the_papers_layouts():
    blocks = down(3, 128) + down(128, 128) + 2 * down(128, 128, shortcut=False)
    assert size(ResNetDiscriminator((3, 32, 32))) == blocks + 129 == 1_053_825
    tall = down(3, 64) + down(64, 128) + down(128, 256) + down(256, 512) + down(512, 1024) + 1025
    assert size(ResNetDiscriminator((3, 48, 48))) == tall
    assert size(ResNetDiscriminator((3, 64, 64))) == tall


def test_wgan_gp_of_cifar_is_the_same_with_128_channels():
    """Gulrajani et al. 2017, appendix F: a generator of 128 channels, and the critic above."""
    generator = ResNetGenerator(128, (3, 32, 32), channels=(128, 128, 128, 128))
    linear = 128 * 4 * 4 * 128 + 4 * 4 * 128
    assert size(generator) == linear + 3 * up(128, 128) + 2 * 128 + convolution(128, 3, 3)


@pytest.mark.parametrize("shape", [(3, 32, 32), (3, 32, 48), (1, 48, 64), (3, 64, 96)])
def test_images_of_any_ratio(shape):
    network = ResNetGenerator(8, shape, channels=(8, 6, 4, 4)).eval()
    images = network(torch.randn(2, 8))
    assert images.shape == (2, *shape)
    assert images.abs().max() <= 1
    for halvings in (2, 3):
        logits = ResNetDiscriminator(shape, 5, channels=(4, 6, 8), halvings=halvings)(images)
        assert logits.shape == (2, 5)


def test_the_discriminator_sums_over_pixels_and_halves_where_it_is_to():
    network = ResNetDiscriminator((3, 32, 32), channels=(4, 4, 4, 4), halvings=2)
    maps = []
    network.layers[3].register_forward_hook(lambda _, args, found: maps.append(found))
    logits = network(torch.randn(2, 3, 32, 32))
    assert maps[0].shape == (2, 4, 8, 8)
    linear = network.layers[-1]
    torch.testing.assert_close(logits, linear(maps[0].relu().sum(dim=(2, 3))))


def test_attention_follows_the_map_that_is_named_and_starts_as_the_identity():
    generator = ResNetGenerator(8, (3, 32, 48), channels=(8, 8, 8), attention=16)
    discriminator = ResNetDiscriminator((3, 32, 48), channels=(8, 8, 8), attention=8)
    for network, side in ((generator, (16, 24)), (discriminator, (8, 12))):
        seen = []
        (layer,) = [layer for layer in network.modules() if isinstance(layer, SelfAttention)]
        layer.register_forward_hook(lambda _, args, found, seen=seen: seen.append((args[0], found)))
        network(torch.randn(2, 8) if network is generator else torch.randn(2, 3, 32, 48)).sum().backward()
        ((before, after),) = seen
        assert before.shape[2:] == side
        assert torch.equal(before, after)
        assert layer.weight.grad.abs() > 0


def test_self_attention_is_its_formula():
    layer, maps = SelfAttention(8), torch.randn(2, 8, 3, 5)
    layer.weight.data.fill_(0.5)
    query, key, value, output = (getattr(layer, name).weight.flatten(1) for name in ("query", "key", "value", "output"))
    pixels = maps.flatten(2)  # (batch, channels, pixels)
    for number, each in enumerate(pixels):
        logits = (query @ each).T @ (key @ each)
        shares = torch.softmax(logits, dim=1)
        expected = each + 0.5 * output @ (value @ each @ shares.T)
        torch.testing.assert_close(layer(maps)[number].flatten(1), expected)


@pytest.mark.parametrize("conditioning", ["batch_norm", "embedding"])
def test_conditional_resnets(conditioning):
    generator = ResNetGenerator(8, (3, 32, 32), channels=(8, 8), num_classes=3, conditioning=conditioning)
    discriminator = ResNetDiscriminator((3, 32, 32), channels=(8, 8), num_classes=3, spectral_norm=True)
    labels = torch.tensor([0, 2, 1])
    discriminator(generator(torch.randn(3, 8), labels), labels).sum().backward()
    for network in (generator, discriminator):
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, name


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ResNetGenerator(8, (3, 28, 28)), "no ResNet for images of 28 x 28, only for a smaller side of 32, 48"),
        (lambda: ResNetGenerator(8, (3, 32, 36)), "the width of images of 32 x 36 cannot be halved 3 times"),
        (
            lambda: ResNetDiscriminator((3, 34, 64), channels=(4, 4)),
            "the height of images of 34 x 64 cannot be halved 2",
        ),
        (
            lambda: ResNetDiscriminator((3, 32, 32), channels=(4,), halvings=2),
            "halvings is 2: expected a number from 0 to",
        ),
        (
            lambda: ResNetGenerator(8, (3, 32, 32), attention=7),
            "attention is 7, but the smaller sides of the maps are 8,",
        ),
        (lambda: ResNetDiscriminator((3, 32, 32), channels=(0,)), "channels is 0"),
    ],
)
def test_what_does_not_fit_is_said(build, message):
    with pytest.raises(UserError, match=message):
        build()
