"""`--trainer.limit_val_batches 1` is one batch and 1.0 is all of them."""

from collections.abc import Callable
from typing import Any, get_args

from pytorch_lightning import Trainer

LIMITS = (
    *("limit_train_batches", "limit_val_batches", "limit_test_batches", "limit_predict_batches"),
    *("overfit_batches", "val_check_interval"),
)


def keep_whole_numbers() -> None:
    """Let the command line read 1 as 1 for the options of the trainer that mean something else by 1.0.

    The trainer declares `Optional[Union[int, float]]`. `typing` holds that for equal to `Optional[Union[float, int]]`
    and gives both whichever was made first in the process, which is the other one; jsonargparse takes the first type
    that fits, and 1 became 1.0. Unions made with | keep their order.
    """
    function: Callable[..., Any] | None = Trainer.__init__
    while function is not None:  # the wrapped one is what a signature is taken from
        function.__annotations__ = {name: int_first(name, hint) for name, hint in function.__annotations__.items()}
        function = getattr(function, "__wrapped__", None)


def int_first(name: str, hint: Any) -> Any:
    """The hint with int before float, if the option is one of LIMITS."""
    kinds = get_args(hint)
    if name not in LIMITS or not {int, float} <= set(kinds):
        return hint
    ordered: Any = int | float
    for kind in kinds:
        if kind not in (int, float):
            ordered |= kind
    return ordered
