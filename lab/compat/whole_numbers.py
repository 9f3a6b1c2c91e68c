"""Makes the command line read `--trainer.limit_val_batches 1` as one batch; 1.0 is all of them.

The Trainer declares `Optional[Union[int, float]]`. `typing` considers that equal to `Optional[Union[float, int]]` and
returns whichever was made first in the process, which is the other one. jsonargparse takes the first type that fits,
and 1 would become 1.0. Unions written with | keep their order, so the Trainer's annotations are replaced by such ones.

Checked with pytorch-lightning 2.6 and jsonargparse 4.53; pinned by tests/lab/compat/test_whole_numbers.py.
"""

from collections.abc import Callable
from typing import Any, get_args

from pytorch_lightning import Trainer

LIMITS = (
    *("limit_train_batches", "limit_val_batches", "limit_test_batches", "limit_predict_batches"),
    *("overfit_batches", "val_check_interval"),
)


def keep_whole_numbers() -> None:
    """Replace the annotations of LIMITS, the options of the Trainer for which 1 and 1.0 differ in meaning."""
    function: Callable[..., Any] | None = Trainer.__init__
    while function is not None:  # jsonargparse reads the innermost wrapped function
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
