"""What every generator and every discriminator must do, and the parameter counts of the published ones."""

import functools
import re

import pytest
import torch
from torch import nn

from lightning_models.networks import (
    ConvDiscriminator,
    ConvGenerator,
    DCGANDiscriminator,
    DCGANGenerator,
    Generator,
    MLPDiscriminator,
    MLPGenerator,
)

MNIST = (1, 28, 28)
REPORT_5_GENERATOR = {
    "channels": (64, 32, 16),
    "upsampling": "nearest",
    "kernel_size": 5,
    "output_kernel_size": 5,
    "leaky_slope": 0.0,
    "normalization": "batch",
    "batch_norm_momentum": 0.6,
    "batch_norm_eps": 1e-3,
}
GENERATORS = {
    "mlp": lambda *args, **options: MLPGenerator(*args, hidden_dims=(8, 16), **options),
    "conv": lambda *args, **options: ConvGenerator(*args, channels=(8, 8, 4), **options),
    "conv_nearest": lambda *args, **options: ConvGenerator(
        *args, channels=(8, 8, 4), upsampling="nearest", kernel_size=3, normalization="batch", **options
    ),
    "dcgan": lambda *args, **options: DCGANGenerator(*args, width=4, **options),
}
DISCRIMINATORS = {
    "mlp": lambda *args, **options: MLPDiscriminator(*args, hidden_dims=(16, 8), **options),
    "conv": lambda *args, **options: ConvDiscriminator(*args, channels=(4, 8), **options),
    "dcgan": lambda *args, **options: DCGANDiscriminator(*args, width=4, **options),
}
every_generator = pytest.mark.parametrize("generator", GENERATORS.values(), ids=GENERATORS.keys())
every_discriminator = pytest.mark.parametrize("discriminator", DISCRIMINATORS.values(), ids=DISCRIMINATORS.keys())
every_size = pytest.mark.parametrize("size", [8, 28, 32, 64, 128])
every_channels = pytest.mark.parametrize("channels", [1, 3])


@pytest.mark.parametrize(
    ("network", "parameters"),
    [
        (lambda: DCGANGenerator(100, (3, 64, 64)), 12_660_355),  # report 1
        (lambda: DCGANDiscriminator((3, 64, 64)), 11_038_081),
        (lambda: ConvGenerator(100, MNIST), 1_164_289),  # report 2
        (lambda: ConvGenerator(50, MNIST), 850_689),
        (lambda: ConvDiscriminator(MNIST), 40_705),
        (lambda: MLPGenerator(100, MNIST), 1_510_032),  # report 3
        (lambda: MLPDiscriminator(MNIST), 533_505),
        (lambda: ConvGenerator(100, MNIST, **REPORT_5_GENERATOR), 381_281),  # report 5
        (lambda: ConvDiscriminator(MNIST, channels=(32, 64, 128), kernel_size=5, leaky_slope=0.3), 259_073),
    ],
)
def test_parameter_counts_of_the_reports_networks(network, parameters):
    with torch.device("meta"):  # shapes without weights
        assert sum(parameter.numel() for parameter in network().parameters()) == parameters


@every_generator
@every_size
@every_channels
@pytest.mark.parametrize("output", ["tanh", "sigmoid"])
def test_generators_fill_their_image_shape_and_range(generator, size, channels, output):
    network = generator(5, (channels, size, size), output=output, initialization="torch")
    images = network(10 * torch.randn(2, 5))
    assert images.shape == (2, channels, size, size)
    low, high = network.output_range
    assert (low, high) == ((-1, 1) if output == "tanh" else (0, 1))
    assert images.min() >= low
    assert images.max() <= high
    assert images.min() < (low + high) / 2  # a sigmoid where tanh was asked for would not go below 0
    assert (network.latent_dim, network.image_shape) == (5, (channels, size, size))


@every_discriminator
@every_size
@every_channels
@pytest.mark.parametrize("out_features", [1, 6])
def test_discriminators_return_out_features_logits_for_each_image(discriminator, size, channels, out_features):
    network = discriminator((channels, size, size), out_features=out_features)
    assert network(torch.randn(2, channels, size, size)).shape == (2, out_features)
    assert network.image_shape == (channels, size, size)


@every_generator
@every_discriminator
def test_images_need_not_be_square(generator, discriminator):
    image_shape = (3, 16, 24)
    images = generator(5, image_shape)(torch.randn(2, 5))
    assert images.shape == (2, *image_shape)
    assert discriminator(image_shape)(images).shape == (2, 1)


NETWORKS = {
    **{f"{name}_generator": (lambda new=new: new(5, (3, 16, 16)), (4, 5)) for name, new in GENERATORS.items()},
    **{
        f"{name}_discriminator": (lambda new=new: new((3, 16, 16)), (4, 3, 16, 16))
        for name, new in DISCRIMINATORS.items()
    },
}
every_network = pytest.mark.parametrize(("build", "input_shape"), NETWORKS.values(), ids=NETWORKS.keys())


@every_network
def test_channels_last_changes_nothing_but_the_layout(build, input_shape):
    torch.manual_seed(0)
    network, inputs = build().eval(), torch.randn(input_shape)
    expected = network(inputs)
    network.to(memory_format=torch.channels_last)
    torch.testing.assert_close(network(inputs), expected, atol=1e-5, rtol=1e-4)


@every_network
def test_bfloat16_autocast_is_close_to_float32(build, input_shape):
    torch.manual_seed(0)
    network, inputs = build().eval(), torch.randn(input_shape)
    with torch.autocast("cpu", torch.bfloat16):
        outputs = network(inputs)
    assert outputs.dtype == torch.bfloat16
    torch.testing.assert_close(outputs.float(), network(inputs), atol=0.05, rtol=0.05)


@every_network
def test_torch_compile_sees_one_graph(build, input_shape):
    torch.manual_seed(0)
    network, inputs = build().eval(), torch.randn(input_shape)
    compiled = torch.compile(network, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(inputs), network(inputs))


@every_network
def test_every_parameter_gets_a_gradient(build, input_shape):
    torch.manual_seed(0)
    network = build()
    network(torch.randn(input_shape)).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def kinds(network):
    return [type(layer) for layer in network.layers]


def test_dcgan_normalizes_every_hidden_layer_but_the_discriminators_first():
    discriminator = DCGANDiscriminator((3, 32, 32), width=4)
    assert kinds(discriminator)[:5] == [nn.Conv2d, nn.LeakyReLU, nn.Conv2d, nn.BatchNorm2d, nn.LeakyReLU]
    assert kinds(discriminator).count(nn.BatchNorm2d) == 2
    generator = DCGANGenerator(5, (3, 32, 32), width=4)
    assert kinds(generator)[1:4] == [nn.ConvTranspose2d, nn.BatchNorm2d, nn.ReLU]
    assert kinds(generator)[-2:] == [nn.ConvTranspose2d, nn.Tanh]
    assert kinds(generator).count(nn.BatchNorm2d) == 3


@pytest.mark.parametrize(
    ("size", "base_size", "widths"),
    [(8, 4, [16]), (28, 7, [16, 32]), (32, 4, [16, 32, 64]), (64, 4, [16, 32, 64, 64]), (100, 25, [16, 32])],
)
def test_dcgan_halves_as_often_as_the_size_allows_and_doubles_the_width_up_to_its_bound(size, base_size, widths):
    discriminator = DCGANDiscriminator((1, size, size), width=16, max_width=64)
    convolutions = [layer for layer in discriminator.layers if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [*widths, 1]
    assert convolutions[-1].kernel_size == (base_size, base_size)
    generator = DCGANGenerator(5, (1, size, size), width=16, max_width=64)
    transposed = [layer for layer in generator.layers if isinstance(layer, nn.ConvTranspose2d)]
    assert [layer.out_channels for layer in transposed] == [*widths[::-1], 1]
    assert transposed[0].kernel_size == (base_size, base_size)


@pytest.mark.parametrize("hidden_layers", [3, 4, 5, 6])
@pytest.mark.parametrize(("size", "stages"), [(28, 2), (32, 3)])
def test_report_4_inserts_hidden_layers_of_stride_1(size, stages, hidden_layers):
    widths = (16, 32, 64)[:stages]
    discriminator = ConvDiscriminator((1, size, size), 1, widths, hidden_layers, normalization="batch")
    convolutions = [layer for layer in discriminator.layers if isinstance(layer, nn.Conv2d)]
    assert [layer.stride[0] for layer in convolutions] == [2] * stages + [1] * (hidden_layers - stages)
    assert kinds(discriminator).count(nn.BatchNorm2d) == hidden_layers

    base = widths[-1:] + widths[::-1]
    generator = ConvGenerator(10, (1, size, size), base, hidden_layers, normalization="batch")
    assert kinds(generator).count(nn.BatchNorm2d) == hidden_layers
    assert kinds(generator).count(nn.ConvTranspose2d) == stages
    images = generator(torch.randn(2, 10))
    assert images.shape == (2, 1, size, size)
    assert discriminator(images).shape == (2, 1)


def test_the_conv_discriminator_rounds_odd_sizes_up_as_keras_does():
    discriminator = ConvDiscriminator(MNIST, channels=(2, 2, 2), kernel_size=5)
    assert discriminator.layers[-1].in_features == 2 * 4 * 4  # 28 => 14 => 7 => 4


@pytest.mark.parametrize("kernel_size", [2, 3, 4, 5, 6])
def test_a_transposed_stage_doubles_the_map_whatever_its_kernel(kernel_size):
    generator = ConvGenerator(3, (1, 12, 20), channels=(2, 2, 2), kernel_size=kernel_size)
    assert generator(torch.zeros(1, 3)).shape == (1, 1, 12, 20)


def test_every_hidden_layer_of_the_conv_generator_has_an_activation():
    generator = ConvGenerator(5, MNIST, channels=(4, 4, 4), hidden_layers=3)
    assert kinds(generator)[:3] == [nn.Linear, nn.LeakyReLU, nn.Unflatten]
    assert kinds(generator)[-2:] == [nn.Conv2d, nn.Sigmoid]
    assert kinds(generator).count(nn.LeakyReLU) == 1 + 3


def test_batch_norm_of_report_5_uses_keras_momentum_and_epsilon():
    generator = ConvGenerator(100, MNIST, **REPORT_5_GENERATOR)
    normalized = [layer for layer in generator.layers if isinstance(layer, nn.BatchNorm2d)]
    assert [(layer.momentum, layer.eps) for layer in normalized] == [(0.6, 1e-3)] * 2


def test_dropout_stands_after_each_convolution_and_before_the_linear_layer():
    discriminator = ConvDiscriminator(MNIST, channels=(4, 4), dropout=0.3, flatten_dropout=0.5)
    assert [layer.p for layer in discriminator.layers if isinstance(layer, nn.Dropout)] == [0.3, 0.3, 0.5]
    assert kinds(discriminator)[-3:] == [nn.Flatten, nn.Dropout, nn.Linear]


def test_a_discriminator_without_hidden_layers_is_linear():
    discriminator = MLPDiscriminator(MNIST, hidden_dims=())
    assert kinds(discriminator) == [nn.Flatten, nn.Linear]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: ConvGenerator(5, (1, 20, 20), channels=(8, 8, 8, 8)),
            "image size 20 cannot be halved 3 times: use a multiple of 8, or fewer stages (channels has 4 entries",
        ),
        (lambda: ConvGenerator(5, (1, 16, 20), channels=(8, 8, 8, 8)), "image size 16 x 20 cannot be halved 3 times"),
        (lambda: DCGANGenerator(5, (1, 27, 27)), "image size 27 x 27 cannot be halved to a map of at least 4 x 4"),
        (lambda: DCGANDiscriminator((1, 6, 6)), "image size 6 x 6 cannot be halved to a map of at least 4 x 4"),
        (lambda: MLPGenerator(0, MNIST), "latent_dim is 0: use whole numbers from 1 up"),
        (lambda: MLPGenerator(5, (1, 0, 28)), "image_shape is (1, 0, 28): use whole numbers from 1 up"),
        (lambda: MLPDiscriminator(MNIST, 0), "out_features is 0: use"),
        (lambda: MLPDiscriminator(MNIST, hidden_dims=(8, -1)), "hidden_dims is (8, -1): use"),
        (lambda: DCGANGenerator(5, MNIST, width=0), "width is 0: use"),
        (lambda: ConvGenerator(5, MNIST, channels=()), "channels is empty: give the number of channels"),
        (lambda: ConvDiscriminator(MNIST, channels=()), "channels is empty: give the number of channels"),
        (
            lambda: ConvDiscriminator(MNIST, hidden_layers=1),
            "hidden_layers is 1, but channels asks for 2 stages: use at least 2 hidden layers, or fewer channels",
        ),
        (lambda: ConvDiscriminator(MNIST, kernel_size=4), "kernel_size is 4: use an odd number, such as 5"),
        (lambda: ConvGenerator(5, MNIST, upsampling="nearest"), "kernel_size is 4: use an odd number, such as 5"),
        (lambda: ConvGenerator(5, MNIST, output_kernel_size=2), "output_kernel_size is 2: use an odd number"),
        (
            lambda: ConvGenerator(5, MNIST, upsampling="bicubic"),
            "upsampling 'bicubic' is unknown: choose one of 'transposed', 'nearest'",
        ),
        (
            lambda: MLPGenerator(5, MNIST, output="relu"),
            "output 'relu' is unknown: choose one of 'tanh', 'sigmoid'",
        ),
    ],
)
def test_what_cannot_be_built_is_refused_with_a_remedy(build, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        build()


@pytest.mark.parametrize(
    "build",
    [
        functools.partial(DCGANGenerator, 5, stages=3),
        functools.partial(DCGANDiscriminator, stages=3),
        functools.partial(ConvGenerator, 5, channels=(8, 8, 8, 8), hidden_layers=4),
        functools.partial(ConvDiscriminator, channels=(8, 8, 8)),
    ],
)
def test_a_map_of_one_pixel_cannot_be_normalized_by_instance(build):
    with pytest.raises(ValueError, match=r"normalization instance .* map of 1 x 1.* use fewer stages"):
        build(image_shape=(1, 8, 8), normalization="instance")
    network = build(image_shape=(1, 8, 16), normalization="instance")  # 1 x 2
    inputs = torch.randn(3, 5) if isinstance(network, Generator) else torch.randn(3, 1, 8, 16)
    assert network(inputs).isfinite().all()
