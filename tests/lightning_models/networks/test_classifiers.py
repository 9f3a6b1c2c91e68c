import pytest
import torch
from torch import nn

from lightning_models.networks import CNNClassifier, MLPClassifier

MNIST = (1, 28, 28)


def parameters(network):
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(
    ("hidden_dims", "count"),
    [
        ([200, 100], 178_110),  # report 5's base, and rows of its table
        ([47, 25], 38_355),
        ([25, 25], 20_535),
        ([400, 100], 355_110),
        ([], 7_850),
    ],
)
def test_dense_networks_have_the_parameters_of_report_5(hidden_dims, count):
    assert parameters(MLPClassifier(MNIST, 10, hidden_dims)) == count


def test_the_convolutional_network_has_the_parameters_of_report_5():
    network = CNNClassifier(MNIST, 10)
    assert parameters(network) == 7_240
    assert network.num_features == 490
    assert network(torch.rand(3, *MNIST)).shape == (3, 10)


def test_any_depth_and_image_size():
    network = CNNClassifier((3, 33, 20), 4, [8, 8, 8, 8], [3], 2, [16, 12], "gelu", "batch", "average", 0.5, "he")
    assert network(torch.rand(3, 3, 33, 20)).shape == (3, 4)
    assert network.features(torch.rand(3, 3, 33, 20)).shape == (3, 12)


@pytest.mark.parametrize(
    ("activation", "layer"),
    [("relu", nn.ReLU), ("leaky_relu", nn.LeakyReLU), ("tanh", nn.Tanh), ("sigmoid", nn.Sigmoid), ("gelu", nn.GELU)],
)
def test_activations(activation, layer):
    for network in (MLPClassifier(MNIST, 10, activation=activation), CNNClassifier(MNIST, 10, activation=activation)):
        assert any(isinstance(module, layer) for module in network.modules())


def test_he_and_glorot_weights_have_their_spread_and_no_bias():
    for initialization, std in (("he", (2 / 784) ** 0.5), ("glorot", (2 / (784 + 2000)) ** 0.5)):
        layer = MLPClassifier(MNIST, 10, [2000], initialization=initialization).layers[1]
        assert layer.weight.std().item() == pytest.approx(std, rel=0.02)
        assert not layer.bias.any()


def test_dropout_is_on_in_training_only():
    network, images = MLPClassifier(MNIST, 10, dropout=0.5), torch.rand(2, *MNIST)
    assert not torch.equal(network(images), network(images))
    network.eval()
    assert torch.equal(network(images), network(images))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: MLPClassifier(MNIST, 10, [199, 0]),
            r"hidden_dims is \[199, 0\]: hidden layer 2 has 0 units, so the output would not depend",
        ),
        (lambda: CNNClassifier(MNIST, 10, hidden_dims=[-1]), "hidden layer 1 has -1 units"),
        (lambda: CNNClassifier(MNIST, 10, [8] * 5, [3]), "28 x 28 cannot be halved 5 times: give fewer channels"),
        (
            lambda: CNNClassifier(MNIST, 10, [8, 8], [4]),
            r"kernel_sizes is \[4\]: use odd numbers, at most one for each of 2 stages",
        ),
        (
            lambda: CNNClassifier(MNIST, 10, [8, 8], [3, 3, 3]),
            r"kernel_sizes is \[3, 3, 3\]: use odd numbers, at most one",
        ),
        (lambda: MLPClassifier(MNIST, 10, dropout=1.0), "dropout is 1.0: expected a number from 0"),
        (lambda: MLPClassifier(MNIST, 10, activation="swish"), "activation 'swish' is unknown: choose one of 'relu'"),
    ],
)
def test_bad_options(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize(("normalization", "has_bias"), [("none", True), ("batch", False), ("layer", False)])
def test_a_convolution_before_a_normalization_has_no_bias(normalization, has_bias):
    network = CNNClassifier(MNIST, 10, normalization=normalization)
    convolutions = [layer for layer in network.modules() if isinstance(layer, torch.nn.Conv2d)]
    assert [layer.bias is not None for layer in convolutions] == [has_bias] * 2


def test_an_image_may_shrink_to_one_pixel_and_no_further():
    assert CNNClassifier((1, 4, 4), 3, channels=(2, 2)).num_features == 2
    with pytest.raises(ValueError, match="image size 3 x 4 cannot be halved 2 times"):
        CNNClassifier((1, 3, 4), 3, channels=(2, 2))
