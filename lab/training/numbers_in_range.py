"""Numbers that no run can use, found in the parsed options: those that neither Lightning nor the classes refuse."""

import math
from collections.abc import Iterator
from typing import Any

from lab.errors import UserError

HIGHEST_SEED = 2**32 - 1  # the highest that Lightning takes
NO_LIMIT = -1  # of trainer.max_epochs and max_steps
LEAST = {  # of the Trainer; Lightning takes lower values, and divides by zero or does something else than was meant
    "log_every_n_steps": 1,
    "check_val_every_n_epoch": 1,
    "accumulate_grad_batches": 1,
    "num_sanity_val_steps": -1,
    "min_epochs": 0,
    "min_steps": 0,
    "gradient_clip_val": 0,
}


def check_numbers(options: dict[str, Any]) -> None:
    """Check the parsed options of a command.

    Raises:
        UserError: for the first number that makes no sense.
    """
    for name, value in leaves(options):
        if isinstance(value, float) and math.isnan(value):
            raise UserError(f"--{name} is {value}: expected a number")
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise UserError(f"--{name} is {value}: expected a whole number of at most 18 digits")
    seed = options["seed_everything"]
    if seed is not True and seed is not False and not 0 <= seed <= HIGHEST_SEED:
        raise UserError(f"--seed_everything is {seed}: use a whole number from 0 to {HIGHEST_SEED}")
    trainer = options["trainer"]
    for name, least in LEAST.items():
        if trainer[name] is not None and trainer[name] < least:
            raise UserError(f"--trainer.{name} is {trainer[name]}: expected at least {least}")
    interval = trainer["val_check_interval"]
    if interval == 0 and not isinstance(interval, float):
        raise UserError("--trainer.val_check_interval is 0: expected at least 1 batch, or a share of the epoch to 1.0")
    for kind in ("epochs", "steps"):
        least, most = trainer[f"min_{kind}"], trainer[f"max_{kind}"]
        if least is not None and most is not None and NO_LIMIT != most < least:
            raise UserError(f"--trainer.min_{kind} is {least}, more than --trainer.max_{kind}, which is {most}")


def leaves(options: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of nested dicts and lists with the option that it belongs to."""
    if isinstance(options, dict):
        for name, value in options.items():
            yield from leaves(value, path if name == "init_args" else f"{path}.{name}".lstrip("."))
    elif isinstance(options, (list, tuple)):
        for value in options:
            yield from leaves(value, path)
    else:
        yield path, options
