import functools

import pytest
import torch
from torch import nn

from lab.errors import UserError
from lightning_models.networks import (
    ConvDiscriminator,
    ConvGenerator,
    DCGANDiscriminator,
    DCGANGenerator,
    MLPDiscriminator,
    MLPGenerator,
)
from lightning_models.networks.conditioning import (
    ClassOffset,
    ClassProjection,
    ConditionalBatchNorm,
    build_network,
    embed,
)
from lightning_models.networks.interfaces import Discriminator, Generator

SHAPE = (3, 16, 24)
GENERATORS = {
    "dcgan": functools.partial(DCGANGenerator, width=4, initialization="glorot"),
    "conv": functools.partial(ConvGenerator, channels=(8, 6, 4), normalization="batch", output="tanh"),
    "mlp": functools.partial(MLPGenerator, hidden_dims=(8, 8)),
}
DISCRIMINATORS = {
    "dcgan": functools.partial(DCGANDiscriminator, width=4),
    "conv": functools.partial(ConvDiscriminator, channels=(4, 6), dropout=0.0),
    "mlp": functools.partial(MLPDiscriminator, hidden_dims=(8, 6)),
}


@pytest.mark.parametrize("conditioning", ["embedding", "batch_norm"])
@pytest.mark.parametrize("name", GENERATORS)
def test_a_generator_makes_other_images_of_another_class(name, conditioning):
    network = GENERATORS[name](5, SHAPE, num_classes=4, conditioning=conditioning)
    if conditioning == "batch_norm":  # all classes begin alike
        for layer in network.modules():
            if isinstance(layer, ConditionalBatchNorm):
                nn.init.normal_(layer.shift.weight)
    network.eval()
    latent = torch.randn(1, 5).expand(3, 5)
    images = network(latent, torch.tensor([1, 1, 2]))
    assert images.shape == (3, *SHAPE)
    assert torch.allclose(images[0], images[1], atol=1e-6)
    assert not torch.allclose(images[0], images[2], atol=1e-3)
    between = network(latent[:2], torch.tensor([[0, 1.0, 0, 0], [0, 0.5, 0.5, 0]]))
    assert torch.allclose(between[0], images[0], atol=1e-5)  # all weight on one class is that class
    assert not torch.allclose(between[1], images[0], atol=1e-3)
    assert not torch.allclose(between[1], images[2], atol=1e-3)


@pytest.mark.parametrize("name", GENERATORS)
def test_at_first_images_differ_more_by_their_latent_vectors_than_by_their_classes(name):
    """Otherwise BatchNorm is content with the classes, and G learns one image of each (seen on MNIST)."""
    torch.manual_seed(0)
    network = GENERATORS[name](64, SHAPE, num_classes=10).eval()
    latent, labels = torch.randn(10, 64), torch.arange(10)
    of_latent = network(latent, torch.zeros_like(labels)).var(dim=0).sum()
    of_class = network(latent[:1].expand(10, -1), labels).var(dim=0).sum()
    assert of_class < 0.1 * of_latent


@pytest.mark.parametrize("conditioning", ["embedding", "batch_norm"])
@pytest.mark.parametrize("name", GENERATORS)
def test_every_parameter_of_a_conditional_generator_learns(name, conditioning):
    network = GENERATORS[name](5, SHAPE, num_classes=2, conditioning=conditioning)
    images = network(torch.randn(6, 5), torch.tensor([0, 1, 0, 1, 0, 1]))
    (images * torch.randn_like(images)).sum().backward()
    for parameter_name, parameter in network.named_parameters():
        assert parameter.grad is not None, parameter_name


def without_classes(network, build):
    """A network of the same weights that is not conditional."""
    plain = build(SHAPE, network.out_features).eval()
    plain.load_state_dict({key: value for key, value in network.state_dict().items() if "class_part" not in key})
    return plain


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_a_discriminator_projects_the_class_on_the_input_of_its_last_layer(name):
    network = DISCRIMINATORS[name](SHAPE, 1, num_classes=3).eval()
    inputs = []
    last = [layer for layer in network.layers if isinstance(layer, (nn.Linear, nn.Conv2d))][-1]
    last.register_forward_pre_hook(lambda _, args: inputs.append(args[0].flatten(1)))
    images, labels = torch.randn(4, *SHAPE), torch.tensor([0, 1, 2, 1])
    logits = network(images, labels)
    assert inputs[0].shape[1] == last.weight[0].numel()  # places are not summed over before the layer
    products = (network.class_part.embedding.weight[labels] * inputs[0]).sum(dim=1, keepdim=True)
    torch.testing.assert_close(logits, without_classes(network, DISCRIMINATORS[name])(images) + products)


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_an_encoder_moves_its_outputs_by_a_vector_of_the_class(name):
    network = DISCRIMINATORS[name](SHAPE, 6, num_classes=3).eval()
    images, labels = torch.randn(4, *SHAPE), torch.tensor([0, 1, 2, 1])
    assert isinstance(network.class_part, ClassOffset)
    expected = without_classes(network, DISCRIMINATORS[name])(images) + network.class_part.embedding.weight[labels]
    torch.testing.assert_close(network(images, labels), expected)


@pytest.mark.parametrize("build", [*GENERATORS.values(), *DISCRIMINATORS.values()])
def test_labels_are_for_conditional_networks_and_for_no_others(build):
    is_generator = build.func.__name__.endswith("Generator")
    first, inputs = ((5, SHAPE), torch.randn(2, 5)) if is_generator else ((SHAPE,), torch.randn(2, *SHAPE))
    with pytest.raises(UserError, match="is conditional: call it with labels"):
        build(*first, num_classes=3)(inputs)
    with pytest.raises(UserError, match="is unconditional: call it without labels"):
        build(*first)(inputs, torch.tensor([0, 1]))


@pytest.mark.parametrize("build", [*GENERATORS.values(), *DISCRIMINATORS.values()])
def test_an_unconditional_network_has_no_trace_of_classes(build):
    first = (5, SHAPE) if build.func.__name__.endswith("Generator") else (SHAPE,)
    assert not any(isinstance(layer, (nn.Embedding, ConditionalBatchNorm)) for layer in build(*first).modules())


def test_spectral_normalization_bounds_the_class_vectors_too():
    network = DCGANDiscriminator(SHAPE, width=4, num_classes=3, spectral_norm=True)
    for _ in range(50):
        network(torch.randn(2, *SHAPE), torch.tensor([0, 2]))
    weight = network.eval().class_part.embedding.weight
    assert torch.linalg.matrix_norm(weight, 2).item() == pytest.approx(1, abs=1e-3)


def test_conditional_batch_norm_has_a_gain_and_a_shift_for_each_class():
    layer = ConditionalBatchNorm(nn.BatchNorm2d(2, affine=False), 3)
    layer.gain.weight.data[1] = 3.0
    layer.shift.weight.data[1] = -1.0
    maps = torch.randn(4, 2, 5, 5) * 7 + 2
    found, plain = layer(maps, torch.tensor([0, 1, 2, 1])), nn.BatchNorm2d(2, affine=False)(maps)
    torch.testing.assert_close(found[[0, 2]], plain[[0, 2]])
    torch.testing.assert_close(found[[1, 3]], 3 * plain[[1, 3]] - 1)


def test_weights_of_classes_mix_their_vectors():
    embedding = nn.Embedding(3, 4)
    mixed = embed(embedding, torch.tensor([[0.25, 0.0, 0.75]]))
    torch.testing.assert_close(mixed[0], 0.25 * embedding.weight[0] + 0.75 * embedding.weight[2])


def test_a_projection_sees_every_place_of_a_map():
    projection = ClassProjection(2, 3 * 4 * 5)
    maps = torch.randn(2, 3, 4, 5)
    expected = torch.stack(
        [projection.embedding.weight[1] @ maps[0].flatten(), projection.embedding.weight[0] @ maps[1].flatten()]
    )
    torch.testing.assert_close(projection(maps, torch.tensor([1, 0])), expected.unsqueeze(1))


@pytest.mark.parametrize(
    "build",
    [
        lambda: DCGANGenerator(4, SHAPE, width=4, normalization="none", num_classes=2, conditioning="batch_norm"),
        lambda: ConvGenerator(4, SHAPE, channels=(4, 4), num_classes=2, conditioning="batch_norm"),
        lambda: MLPGenerator(4, SHAPE, batch_norm=False, num_classes=2, conditioning="batch_norm"),
        lambda: MLPGenerator(4, SHAPE, hidden_dims=(8,), num_classes=2, conditioning="batch_norm"),
    ],
)
def test_conditional_batch_norm_without_batch_norm_is_refused(build):
    with pytest.raises(
        UserError, match=r"conditioning batch_norm needs BatchNorm, found .*: use conditioning embedding"
    ):
        build()


class Plain(Generator):
    def __init__(self, latent_dim, image_shape):
        super().__init__(latent_dim, image_shape, "tanh")

    def forward(self, latent):
        return latent


def test_a_network_that_cannot_be_conditional_says_so():
    assert isinstance(build_network(Plain, Generator, {}, 4, SHAPE), Plain)
    with pytest.raises(UserError, match=r"model\.conditional is true, but this Generator cannot be conditional"):
        build_network(Plain, Generator, {"num_classes": 3}, 4, SHAPE)
    with pytest.raises(UserError, match="num_classes of the MLPDiscriminator is 3, but 0 are asked for"):
        build_network(functools.partial(MLPDiscriminator, num_classes=3), Discriminator, {}, SHAPE)
    with pytest.raises(TypeError, match="widht"):
        build_network(functools.partial(MLPDiscriminator, widht=3), Discriminator, {"num_classes": 3}, SHAPE)
