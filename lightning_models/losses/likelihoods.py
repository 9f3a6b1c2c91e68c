"""The distribution of an image given a decoder's output, p(image | latent); chosen in the config by class.

All log-likelihoods are in nats per image: summed over pixels, not averaged, so that they can be added to a KL
divergence without a weight.
"""

import math
from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.errors import UserError
from lightning_models.modules.latent import draw_own_rows

ValueRange = tuple[float, float]


class Likelihood(nn.Module, ABC):
    """The distribution of an image given its latent vector; the decoder returns its parameters.

    It is a module because it may have learned parameters of its own. Subclasses store the arguments of their
    constructor under the same names, from which a checkpoint describes them.
    """

    @abstractmethod
    def check(self, value_range: ValueRange, output_range: ValueRange) -> None:
        """Raise UserError unless it fits the value range of the data and the output range of the decoder."""

    def observe(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The observation that is modelled: by default the images, (batch, channels, height, width), themselves."""
        return images

    @abstractmethod
    def log_likelihood(self, output: Tensor, observed: Tensor) -> Tensor:
        """Log p(observed | latent) of each image, given the decoder's `output`: (batch,) float32, in nats.

        Both arguments are (batch, channels, height, width).
        """

    @abstractmethod
    def expected(self, output: Tensor) -> Tensor:
        """The mean of the distribution: images of the shape of `output`, in the value range of the data."""


class Bernoulli(Likelihood):
    """Minus the cross entropy of grey pixels x in [0, 1]: the sum of x log p + (1 - x) log(1 - p), never positive.

    It is a likelihood only where every pixel is 0 or 1, as `BinarizedBernoulli` makes them. On grey pixels it is the
    loss of most VAE examples, whose values must not be compared with those of binarised images: its best possible value
    is not 0 but minus the sum of the pixels' own entropies.
    """

    def check(self, value_range: ValueRange, output_range: ValueRange) -> None:
        if tuple(value_range) != (0.0, 1.0):
            raise UserError(
                f"the {type(self).__name__} likelihood takes pixels in [0.0, 1.0] but the data's are in "
                f"{list(value_range)}: set data.value_range to [0.0, 1.0], or model.likelihood to Gaussian"
            )
        if not math.isinf(output_range[1]):
            raise UserError(
                f"the {type(self).__name__} likelihood takes logits but the decoder returns values in "
                f"{list(output_range)}: set model.decoder.output to none"
            )

    def log_likelihood(self, output: Tensor, observed: Tensor) -> Tensor:
        cross_entropy = F.binary_cross_entropy_with_logits(output.float(), observed, reduction="none")
        return -cross_entropy.flatten(1).sum(dim=1)

    def expected(self, output: Tensor) -> Tensor:
        """The probability that a pixel is white; `output` are logits."""
        return output.float().sigmoid()


class BinarizedBernoulli(Bernoulli):
    """Pixels are drawn as 0 or 1 with their grey value as probability, anew each time (Burda et al. 2016, section 5).

    This is a likelihood of discrete data, so log-likelihoods are never positive.
    """

    def observe(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Zeros and ones, drawn differently in each process."""

        def draw(rows: int) -> Tensor:
            device = images.device if generator is None else generator.device
            return torch.rand((rows, *images.shape[1:]), generator=generator, device=device)

        return (draw_own_rows(draw, len(images)).to(images.device) < images).to(images.dtype)


class Gaussian(Likelihood):
    """Independent pixels N(output, variance); this is a density, so log-likelihoods may be positive.

    A learned variance, one number for all pixels, finds the balance between reconstruction and KL itself (Rybkin et al.
    2021); its optimum is the mean squared error.

    Args:
        variance: of a pixel, in squared units of the value range; the initial value of a learned one.
        learned: learn the variance together with the networks.

    Raises:
        UserError: if `variance` is not positive.
    """

    def __init__(self, variance: float = 0.1, learned: bool = False) -> None:
        super().__init__()
        if variance <= 0:
            raise UserError(f"model.likelihood.variance is {variance}: expected a positive number, such as 0.1")
        self.variance, self.learned = variance, learned
        log_variance = torch.tensor(math.log(variance))
        self.log_variance = nn.Parameter(log_variance) if learned else nn.Buffer(log_variance)

    def check(self, value_range: ValueRange, output_range: ValueRange) -> None:
        if output_range[0] > value_range[0] or output_range[1] < value_range[1]:
            raise UserError(
                f"the decoder returns values in {list(output_range)} but the data's are in {list(value_range)}: set "
                f"model.decoder.output to {'sigmoid' if value_range[0] == 0 else 'tanh'} or none"
            )

    def log_likelihood(self, output: Tensor, observed: Tensor) -> Tensor:
        squared_error = (observed - output.float()).square()
        log_density = -0.5 * (squared_error / self.log_variance.exp() + self.log_variance + math.log(2 * math.pi))
        return log_density.flatten(1).sum(dim=1)

    def expected(self, output: Tensor) -> Tensor:
        """`output` itself, the means."""
        return output.float()
