"""What a decoder's output says about an image: p(image | latent), chosen in the config by class.

All log-likelihoods are in nats an image: summed over its pixels, never averaged, so that they add to a KL divergence
without any weight.
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
    """The distribution of an image given its latent vector, whose parameters a decoder returns.

    A module, because it may have parameters of its own. Subclasses keep their constructor's arguments under the same
    names, which is how a checkpoint describes them.
    """

    @abstractmethod
    def check(self, value_range: ValueRange, output_range: ValueRange) -> None:
        """Raise ValueError unless it fits the pixels of the data and the numbers that the decoder can return."""

    def observe(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """What is modelled of `images` (batch, channels, height, width): the same shape, by default the images."""
        return images

    @abstractmethod
    def log_likelihood(self, output: Tensor, observed: Tensor) -> Tensor:
        """The log of p(observed | latent) of each image, (batch,) float32 in nats, for the decoder's `output`.

        Both arguments are (batch, channels, height, width).
        """

    @abstractmethod
    def expected(self, output: Tensor) -> Tensor:
        """The mean of the distribution, a picture in the value range of the data, of the same shape as `output`."""


class Bernoulli(Likelihood):
    """Cross entropy between grey pixels x in [0, 1] and the decoder's: the sum of x log p + (1 - x) log(1 - p).

    A likelihood only where every pixel is 0 or 1, as `BinarizedBernoulli` makes them. On grey pixels it is the loss of
    most VAE examples, whose numbers must not be compared with those of binarised images: its best possible value is
    not 0 but the sum of the pixels' own entropies. Never positive.
    """

    def check(self, value_range: ValueRange, output_range: ValueRange) -> None:
        """Pixels in [0, 1], a decoder that returns logits."""
        if tuple(value_range) != (0.0, 1.0):
            raise UserError(
                f"the {type(self).__name__} likelihood takes pixels in [0.0, 1.0] but the data's are in "
                f"{list(value_range)}: set data.value_range to [0.0, 1.0], or model.likelihood to Gaussian"
            )
        if not math.isinf(output_range[1]):
            raise UserError(
                f"the {type(self).__name__} likelihood takes logits but the decoder makes values in "
                f"{list(output_range)}: set model.decoder.output to none"
            )

    def log_likelihood(self, output: Tensor, observed: Tensor) -> Tensor:
        """See Likelihood; `output` are logits."""
        cross_entropy = F.binary_cross_entropy_with_logits(output.float(), observed, reduction="none")
        return -cross_entropy.flatten(1).sum(dim=1)

    def expected(self, output: Tensor) -> Tensor:
        """The probability of a white pixel."""
        return output.float().sigmoid()


class BinarizedBernoulli(Bernoulli):
    """Pixels drawn as 0 or 1 with the grey value as probability, again at each look (Burda et al. 2016, section 5).

    A true likelihood of discrete data: log-likelihoods are in nats and never positive.
    """

    def observe(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Zeros and ones; other ones in each process."""

        def draw(rows: int) -> Tensor:
            device = images.device if generator is None else generator.device
            return torch.rand((rows, *images.shape[1:]), generator=generator, device=device)

        return (draw_own_rows(draw, len(images)).to(images.device) < images).to(images.dtype)


class Gaussian(Likelihood):
    """Independent pixels N(output, variance); a density, so that log-likelihoods may be positive.

    With a learned variance, one number for all pixels, the model finds the balance between reconstruction and KL
    itself (Rybkin et al. 2021). The optimum is the mean squared error.

    Args:
        variance: of a pixel, in squared units of the value range; where a learned one starts.
        learned: learn the variance together with the networks.
    """

    def __init__(self, variance: float = 0.1, learned: bool = False) -> None:
        super().__init__()
        if variance <= 0:
            raise UserError(f"model.likelihood.variance is {variance}: expected a positive number, such as 0.1")
        self.variance, self.learned = variance, learned
        log_variance = torch.tensor(math.log(variance))
        self.log_variance = nn.Parameter(log_variance) if learned else nn.Buffer(log_variance)

    def check(self, value_range: ValueRange, output_range: ValueRange) -> None:
        """A decoder that can return every pixel value."""
        if output_range[0] > value_range[0] or output_range[1] < value_range[1]:
            raise UserError(
                f"the decoder makes values in {list(output_range)} but the data's are in {list(value_range)}: set "
                f"model.decoder.output to {'sigmoid' if value_range[0] == 0 else 'tanh'} or none"
            )

    def log_likelihood(self, output: Tensor, observed: Tensor) -> Tensor:
        """See Likelihood; `output` are the means."""
        squared_error = (observed - output.float()).square()
        log_density = -0.5 * (squared_error / self.log_variance.exp() + self.log_variance + math.log(2 * math.pi))
        return log_density.flatten(1).sum(dim=1)

    def expected(self, output: Tensor) -> Tensor:
        """The means themselves."""
        return output.float()
