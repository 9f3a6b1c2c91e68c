"""Means over an epoch that are exact: over unequal batches, several processes and a resume in its middle."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torchmetrics import Metric


class WeightedMeans(Metric):
    """The means of several quantities, each image (or character, or name) weighing alike.

    `self.log(mean, sync_dist=True)` averages the means of batches and of processes, which is not the mean. The sums
    are kept in checkpoints, so that the mean of an epoch survives a resume in its middle. One object for all quantities
    of a step: torchmetrics' bookkeeping costs more than the additions.

    A checkpoint holds the sums of all processes, see `keep_sums_of_all_processes`. The first process goes on with them.
    """

    full_state_update = False
    sums: Tensor
    weight: Tensor

    def __init__(self, names: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.names = tuple(names)
        self.add_state("sums", torch.zeros(len(self.names)), dist_reduce_fx="sum", persistent=True)
        self.add_state("weight", torch.zeros(()), dist_reduce_fx="sum", persistent=True)
        self.register_load_state_dict_post_hook(keep_in_first_process)  # type: ignore[no-untyped-call]  # torch leaves its hook untyped

    def update(self, values: Sequence[Tensor], weight: int) -> None:
        """Add the means of a batch, scalars in the order of the names, over `weight` items."""
        self.sums += torch.stack([value.detach().float() for value in values]) * weight
        self.weight += weight

    def compute(self) -> dict[str, Tensor]:
        """Mean of each quantity, scalars; NaN before the first update."""
        return dict(zip(self.names, (self.sums / self.weight).unbind(), strict=True))


def keep_in_first_process(means: nn.Module, _: Any) -> None:
    """Reset the loaded `means` in all processes but the first, or their sums would count once for each process."""
    in_other_process = torch.distributed.is_available() and torch.distributed.is_initialized()
    if in_other_process and torch.distributed.get_rank() > 0:
        cast(WeightedMeans, means).reset()


def keep_sums_of_all_processes(module: nn.Module, state_dict: dict[str, Any]) -> None:
    """Write the means inside `module` into its `state_dict` as sums over all processes, which all have to call it."""
    for name, means in module.named_modules():
        if isinstance(means, WeightedMeans):
            with means.sync_context():
                state_dict.update(means.state_dict(prefix=f"{name}."))
