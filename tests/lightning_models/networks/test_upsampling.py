import pytest
import torch
from torch import nn

from lightning_models.networks.upsampling import UpsampleConv2d


@pytest.mark.parametrize("kernel_size", [1, 3, 5, 7, 9])
def test_one_layer_gives_the_values_and_gradients_of_upsampling_and_then_convolving(kernel_size):
    torch.manual_seed(0)
    together = UpsampleConv2d(3, 4, kernel_size).double()
    apart = nn.Sequential(
        nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(3, 4, kernel_size, padding=kernel_size // 2)
    ).double()
    apart[1].load_state_dict(together.state_dict())
    maps = torch.randn(2, 3, 4, 5, dtype=torch.float64)  # narrower than the largest kernel: every tap meets the edge
    direction = torch.randn(2, 4, 8, 10, dtype=torch.float64)
    seen = []
    for layers in (together, apart):
        start = maps.clone().requires_grad_()
        images = layers(start)
        (images * direction).sum().backward()
        seen.append([images, start.grad, *(parameter.grad for parameter in layers.parameters())])
    torch.testing.assert_close(*seen, rtol=1e-12, atol=1e-12)


def test_the_weights_are_those_of_a_convolution():
    layer, convolution = UpsampleConv2d(3, 4, 5), nn.Conv2d(3, 4, 5)
    assert {name: value.shape for name, value in layer.state_dict().items()} == {
        name: value.shape for name, value in convolution.state_dict().items()
    }


def test_an_even_kernel_is_refused():
    with pytest.raises(ValueError, match="kernel_size is 4: use an odd number, such as 5"):
        UpsampleConv2d(3, 4, 4)
