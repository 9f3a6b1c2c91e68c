"""Which precisions a machine computes fast, and which a model supports."""

import sys

import torch
from pytorch_lightning.utilities import rank_zero_only

from lab.compat.bfloat16 import cpu_has_bfloat16
from lab.errors import UserError
from lab.training.registry import IMAGES, LEARNS_FROM

OTHER_WEIGHTS = ("16-true", "bf16-true", "64-true", "64")  # precisions in which weights are not float32


def check_precision(precision: str | int | None, model: type) -> None:
    """Refuse a precision that stores the weights of an image model in another type than its input.

    Images and latent vectors are float32. Mixed precision computes in 16 bits and stores float32 weights; weights of
    16 bits would round away most updates of a small learning rate.

    Raises:
        UserError: if the model learns from images and its weights would not be float32.
    """
    image_families = tuple(family for family, kinds in LEARNS_FROM.items() if kinds == IMAGES)
    if str(precision) in OTHER_WEIGHTS and issubclass(model, image_families):
        raise UserError(
            f"--trainer.precision {precision}: a {model.__name__} has float32 weights: "
            "use 32-true, bf16-mixed or 16-mixed"
        )


def usable_precision(precision: str | None, accelerator: str) -> str | None:
    """`precision`, or float32 with a warning on stderr where it is bfloat16 and the hardware has none.

    The configs ask for bfloat16 because it is about twice as fast. A processor that only emulates it is far slower than
    in float32: 80 times for the product of two 1,024 x 1,024 matrices on a CPU with AVX2.

    Args:
        precision: The Trainer's option.
        accelerator: The Trainer's option, such as "auto", "cpu" or "gpu".
    """
    if precision not in ("bf16", "bf16-mixed") or has_bfloat16(accelerator):
        return precision
    warn(f"this machine has no bfloat16 hardware: float32 instead of --trainer.precision {precision}")
    return "32-true"


def has_bfloat16(accelerator: str) -> bool:
    """Whether the device that the Trainer will choose has bfloat16 hardware; True for all but CPU and CUDA."""
    if accelerator == "cpu" or (accelerator == "auto" and not torch.accelerator.is_available()):
        return cpu_has_bfloat16()
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return True


@rank_zero_only
def warn(message: str) -> None:
    """Print one line on stderr, from the first process only."""
    print(message, file=sys.stderr)
