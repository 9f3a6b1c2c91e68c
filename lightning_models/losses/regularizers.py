"""Penalties that are added to a loss, and constraints on the weights after an update.

A penalty sees the discriminator as a *critic*, a function from images alone to logits; what else the discriminator is
given, such as labels, is bound to it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from lab.errors import UserError
from lightning_models.modules.batch_norm import BATCH_NORMS
from lightning_models.modules.checks import check_above_zero, check_at_least
from lightning_models.modules.latent import draw_own_rows

Critic = Callable[[Tensor], Tensor]


class Regularizer:
    """No regularization; subclasses override what they need."""

    every: int = 1  # batches from one penalty to the next

    def check(self, discriminator: nn.Module) -> None:
        """Raise UserError if this regularizer does not fit the discriminator; called once, before training."""

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor) -> Tensor | None:
        """A scalar >= 0 to add to D's loss, or None; images are (batch, channels, height, width)."""
        return None

    def after_update(self, discriminator: nn.Module) -> None:
        """Called after each update of D's weights."""


class WeightClipping(Regularizer):
    """Clip all of the critic's parameters to [-clip_value, clip_value] (Arjovsky et al. 2017, algorithm 1).

    As in algorithm 1 and the authors' code, this includes BatchNorm's gains, which drop from 1 to `clip_value` at the
    first update.
    """

    def __init__(self, clip_value: float = 0.01) -> None:
        """Check and store the bound.

        Args:
            clip_value: Largest absolute value of a parameter, above 0.
        """
        check_above_zero("clip_value", clip_value)
        self.clip_value = clip_value

    def check(self, discriminator: nn.Module) -> None:
        """Refuse weights computed from the parameters, as by spectral normalization: clipping would not bound them."""
        for name, layer in discriminator.named_modules():
            if is_parametrized(layer):
                raise UserError(
                    f"WeightClipping cannot bound the weight of {name} in the discriminator, which is computed from "
                    "its parameter (spectral_norm): set model.discriminator.spectral_norm to false, or "
                    "model.regularizer to null"
                )

    @torch.no_grad()
    def after_update(self, discriminator: nn.Module) -> None:
        for parameter in discriminator.parameters():
            parameter.clamp_(-self.clip_value, self.clip_value)


class SlopePenalty(Regularizer, ABC):
    """A penalty on the critic's slopes, the norms of its gradient with respect to each image."""

    def __init__(self, weight: float = 10.0, every: int = 1) -> None:
        """Check and store the options.

        Args:
            weight: The paper's lambda or gamma, above 0.
            every: Batches from one penalty to the next, which then counts so many times: lazy regularization (Karras et
                al. 2020, section 3.1) saves most of its time.
        """
        check_above_zero("weight", weight)
        check_at_least("every", every, 1)
        self.weight, self.every = weight, every

    def check(self, discriminator: nn.Module) -> None:
        refuse_batch_norm(self, discriminator)

    @abstractmethod
    def penalty(self, critic: Critic, real: Tensor, fake: Tensor) -> Tensor: ...


class GradientPenalty(SlopePenalty):
    """WGAN-GP (Gulrajani et al. 2017, algorithm 1): weight * E (||grad f(x)|| - 1)^2 between real and fake images.

    The penalty is two-sided: a slope below 1 costs as much as one above.
    """

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
        """The penalty at one random point on the line between each real image and its fake one."""
        share = draw_own_rows(lambda rows: torch.rand(rows, 1, 1, 1, dtype=real.dtype, device=real.device), len(real))
        between = torch.lerp(fake.to(real.dtype), real, share)  # one share for all pixels of an image
        slopes: Tensor = torch.linalg.vector_norm(input_gradients(critic, between), dim=1)  # (batch,)
        return self.weight * (slopes - 1).square().mean()


class R1(SlopePenalty):
    """Gradient penalty on real images only (Mescheder et al. 2018, eq. 9): weight / 2 * E ||grad D(x)||^2."""

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
        """The penalty at the real images; `fake` is ignored."""
        return 0.5 * self.weight * input_gradients(critic, real).square().sum(dim=1).mean()


class R2(SlopePenalty):
    """R1's counterpart on generated images (Mescheder et al. 2018, eq. 10): weight / 2 * E ||grad D(G(z))||^2."""

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
        """The penalty at the generated images; `real` is ignored."""
        return 0.5 * self.weight * input_gradients(critic, fake.to(real.dtype)).square().sum(dim=1).mean()


class Regularizers:
    """Several regularizers of one discriminator, in their order.

    Args:
        parts: the regularizers.
        discriminator: what they are checked against.

    Raises:
        UserError: if one of them does not fit the discriminator.
    """

    def __init__(self, parts: Sequence[Regularizer], discriminator: nn.Module) -> None:
        for part in parts:
            part.check(discriminator)
        self.parts = list(parts)
        self.last: dict[Regularizer, Tensor] = {}  # penalty of each part when it was last due, for logging

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, batch: int, factor: float = 1.0) -> Tensor | None:
        """What is added to D's loss in batch number `batch`, counted from 0; None where nothing is due.

        All weights are multiplied by `factor`.
        """
        total: Tensor | None = None
        for part in self.parts:
            if batch % part.every == 0 and (value := part.penalty(critic, real, fake)) is not None:
                value = value if factor == 1 else factor * value
                self.last[part] = value.detach()
                value = value if part.every == 1 else part.every * value
                total = value if total is None else total + value
        return total

    def after_update(self, discriminator: nn.Module) -> None:
        """Called after each update of D's weights."""
        for part in self.parts:
            part.after_update(discriminator)

    def metrics(self) -> dict[str, Tensor]:
        """`penalty`, the sum as a batch pays it on average, and of several the share of each, such as `penalty_r1`."""
        if not self.last:
            return {}
        parts = {f"penalty_{type(part).__name__.lower()}": value for part, value in self.last.items()}
        return {"penalty": torch.stack(list(self.last.values())).sum(), **(parts if len(parts) > 1 else {})}


def input_gradients(critic: Critic, images: Tensor) -> Tensor:
    """Gradient of each image's logit with respect to its pixels: (batch, pixels) in float32, differentiable."""
    images = images.detach().requires_grad_()
    device = images.device.type
    # The gradient scaler scales the loss but not this inner gradient, which would underflow in float16.
    autocast = torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device) != torch.float16
    # A compiled discriminator runs eagerly here: torch.compile does not support second derivatives.
    with torch.compiler.set_stance("force_eager"), torch.autocast(device, enabled=autocast):
        logits = critic(images)
        # No logit depends on another image, so each row of this gradient belongs to one image alone.
        (gradients,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradients.float().flatten(start_dim=1)  # the norm is over the whole image, not per channel


def refuse_batch_norm(regularizer: Regularizer, discriminator: nn.Module) -> None:
    """Raise UserError if the discriminator has a BatchNorm layer."""
    for name, layer in discriminator.named_modules():
        if isinstance(layer, BATCH_NORMS):
            raise UserError(
                f"{type(regularizer).__name__} cannot be used with BatchNorm in the discriminator ({name}), which "
                "couples the images of a batch, so that gradients do not belong to single images: "
                "use normalization none, layer or instance"
            )


KERNEL_LAYERS = (
    *(nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d),
    *(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
)


def kernels(network: nn.Module) -> list[Tensor]:
    """The weights of all linear and convolutional layers, without biases and normalization layers."""
    return [layer.weight for layer in network.modules() if isinstance(layer, KERNEL_LAYERS)]


def l1_norm(network: nn.Module) -> Tensor:
    """Sum of the absolute values of all kernels, a scalar."""
    return torch.stack([kernel.abs().sum() for kernel in kernels(network)]).sum()


def l2_norm(network: nn.Module) -> Tensor:
    """Sum of the squares of all kernels, a scalar; Keras' `l2(weight)` is `weight` times this (report 5)."""
    return torch.stack([kernel.square().sum() for kernel in kernels(network)]).sum()
