"""Gradient norms and clipping, also while mixed precision still holds the gradients scaled."""

from collections.abc import Iterable

import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.plugins.precision import MixedPrecision
from torch import Tensor, nn
from torch.optim import Optimizer

from lightning_models.modules.plain_checkpoint import PlainCheckpoint


class ClipsGradients(PlainCheckpoint):
    """A module with automatic optimization that `trainer.gradient_clip_val` clips under any precision.

    Lightning 2.6 refuses to clip under mixed precision with a fused optimizer, which unscales the gradients in its
    step, even where nothing scales them (bfloat16). Here the norm is clipped as it would be without a scale.
    """

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        limit = gradient_clip_val or 0.0
        is_refused = isinstance(self.trainer.precision_plugin, MixedPrecision) and unscales_itself(optimizer)
        if is_refused and limit > 0 and gradient_clip_algorithm != "value":
            parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
            clip_norm(parameters, limit, gradient_scale(self, optimizer))
        else:
            super().configure_gradient_clipping(optimizer, gradient_clip_val, gradient_clip_algorithm)


def clip_norm(parameters: Iterable[nn.Parameter], limit: float | None, scale: Tensor | float = 1.0) -> Tensor:
    """Clip the norm of all gradients together to `limit`; returns the norm before clipping, a scalar.

    Without a limit nothing is clipped. The gradients are multiplied by `scale` before and after; the norm and the limit
    are those without it.
    """
    parameters = list(parameters)
    norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None]) / scale
    if limit is not None:
        torch.nn.utils.clip_grads_with_norm_(parameters, limit, norm)
    return norm


def loss_scale(module: LightningModule) -> Tensor | float:
    """The factor of the loss under 16-bit precision, and so of the gradients until they are unscaled; else 1."""
    scaler = getattr(module.trainer.precision_plugin, "scaler", None)
    return 1.0 if scaler is None else scaler.scale(torch.ones((), device=module.device))


def gradient_scale(module: LightningModule, optimizer: Optimizer) -> Tensor | float:
    """The factor of the gradients at the time when Lightning clips them, under automatic optimization."""
    return loss_scale(module) if unscales_itself(optimizer) else 1.0  # Lightning unscales the others before clipping


def unscales_itself(optimizer: Optimizer) -> bool:
    """Whether the step of `optimizer` unscales the gradients, as torch.optim's fused implementations do."""
    return any(group.get("fused") for group in optimizer.param_groups)
