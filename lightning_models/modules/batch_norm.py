"""BatchNorm cannot train on a single number per channel, which is all that one image gives it in some networks."""

from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn

from lab.errors import UserError
from lightning_models.modules.evaluation_mode import evaluating

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


def check_batches_of_one(module: LightningModule, networks: dict[str, tuple[nn.Module, tuple[int, ...]]]) -> None:
    """Refuse a training batch of one image that BatchNorm in one of the networks cannot train on.

    Call it in `on_fit_start`. Data without `train_batch_sizes` is not checked.

    Args:
        module: the module that is trained.
        networks: its networks by the names of their options, each with the shape of one input.

    Raises:
        UserError: if training will meet such a batch.
    """
    trainer = module.trainer
    sizes: list[int] = getattr(getattr(trainer, "datamodule", None), "train_batch_sizes", [])
    limit = trainer.limit_train_batches
    met = sizes[: limit if isinstance(limit, int) else int(limit * len(sizes))]
    if trainer.max_steps >= 0:
        met = met[: trainer.max_steps * trainer.accumulate_grad_batches]
    if 1 not in met:
        return
    for name, (network, shape) in networks.items():
        weight = next(network.parameters())
        example: tuple[Tensor, ...] = (torch.zeros(1, *shape, dtype=weight.dtype, device=weight.device),)
        if getattr(network, "num_classes", 0):
            example = (*example, torch.zeros(1, dtype=torch.int64, device=weight.device))
        if layer := batch_norm_of_one_number(network, *example):
            which = "each training batch holds" if sizes[0] == 1 else "the last training batch of an epoch holds"
            remedy = "a larger one" if sizes[0] == 1 else "another one, or --data.drop_last true"
            raise UserError(
                f"{which} one image, but BatchNorm in model.{name} ({layer}) needs at least two to train: "
                f"data.batch_size is {sizes[0]}, use {remedy}"
            )


@torch.no_grad()
def batch_norm_of_one_number(network: nn.Module, *example: Tensor) -> str | None:
    """Name of the first BatchNorm layer that sees one number per channel of `example`, a batch of one; None without.

    A conditional network's example has a label as well.

    The network runs in evaluation mode, which changes nothing in it. SyncBatchNorm, which normalizes over the batches
    of all processes together, is left out.
    """
    found: list[str] = []

    def watch(layer: nn.Module, name: str) -> Any:
        def hook(_: nn.Module, inputs: tuple[Tensor]) -> None:
            if inputs[0].numel() == inputs[0].shape[1]:
                found.append(name)

        return layer.register_forward_pre_hook(hook)

    handles = [
        watch(layer, name)
        for name, layer in network.named_modules()
        if isinstance(layer, BATCH_NORMS) and not isinstance(layer, nn.SyncBatchNorm)
    ]
    try:
        with evaluating(network):
            network.forward(*example)  # not a call, which would compile a network that is to be compiled
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else None
