"""Which precision a machine is fast in, and which a model computes in at all."""

import sys

import torch
from pytorch_lightning.utilities import rank_zero_only

from lab.errors import UserError
from lab.training.registry import IMAGES, LEARNS_FROM

OF_ALL_WEIGHTS = ("16-true", "bf16-true", "64-true", "64")  # other than float32


def check_precision(precision: str | int | None, model: type) -> None:
    """Raise a UserError for a precision that makes the weights of a model of images another type than its input.

    Images and latent vectors are float32. A mixed precision computes in 16 bits from them and keeps float32 weights;
    weights of 16 bits would round away most steps of a small learning rate.
    """
    of_images = tuple(family for family, kinds in LEARNS_FROM.items() if kinds == IMAGES)
    if str(precision) in OF_ALL_WEIGHTS and issubclass(model, of_images):
        raise UserError(
            f"--trainer.precision {precision}: a {model.__name__} has float32 weights: "
            "use 32-true, bf16-mixed or 16-mixed"
        )


def usable_precision(precision: str | None, accelerator: str) -> str | None:
    """The Trainer's `precision`, but float32 for bfloat16 where the hardware has none, which is told on stderr.

    Bfloat16 is a matter of speed: the configs ask for it because it is about twice as fast. A processor that only
    imitates it is far slower than in float32: 80 times for a product of two matrices of 1,024 x 1,024, seen with AVX2.

    Args:
        precision: what the Trainer is asked for.
        accelerator: the same, such as "auto", "cpu" or "gpu".
    """
    if precision not in ("bf16", "bf16-mixed") or has_bfloat16(accelerator):
        return precision
    tell(f"this machine computes no bfloat16: float32 in place of --trainer.precision {precision}")
    return "32-true"


def has_bfloat16(accelerator: str) -> bool:
    """Whether the device that the Trainer will choose computes bfloat16 itself; of others than CPU and CUDA: yes."""
    if accelerator == "cpu" or (accelerator == "auto" and not torch.accelerator.is_available()):
        # What torch itself asks before it hands bfloat16 to oneDNN; without oneDNN there are only slow loops.
        has_onednn: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        return has_onednn and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return True


@rank_zero_only
def tell(message: str) -> None:
    """One line on stderr, from the first process alone."""
    print(message, file=sys.stderr)
