"""One step of one of several optimizers, by hand."""

from typing import Any

from torch import Tensor, nn

from lightning_models.modules.batch_counting import CountsBatches
from lightning_models.modules.clipping import clip_norm, loss_scale


class ManualOptimization(CountsBatches):
    """A module that updates several networks itself; `gradient_clip_norm` bounds the gradients of each."""

    gradient_clip_norm: float | None

    def update(self, optimizer: Any, network: nn.Module, loss: Tensor, metrics_within: int = 1) -> Tensor | None:
        """Take one step of `optimizer` on `loss`; returns the gradient norm if it is clipped or logged, else None.

        `manual_backward`, unlike `loss.backward()`, synchronises the gradients between processes. The norm is logged if
        this batch or one of the `metrics_within - 1` after it is.
        """
        optimizer.zero_grad()
        self.manual_backward(loss)
        norm = None
        if self.gradient_clip_norm is not None or self.should_log(metrics_within):
            norm = clip_norm(network.parameters(), self.gradient_clip_norm, loss_scale(self))
        optimizer.step()
        return norm
