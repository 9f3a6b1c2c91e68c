"""A table of a study in Weights & Biases, in a run of its own beside those of the trials."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab.errors import UserError
from lab.program import command_line
from lightning_models.tracking.wandb_runs import WandbOptions, begin_run


def log_table(
    options: WandbOptions, folder: Path, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]
) -> str:
    """Log a table under `name` in the run of this name in the group. Returns the mode: online, offline or disabled.

    Args:
        options: project, group and mode.
        folder: where the run is recorded, in `wandb/`.
        name: of the run and of the table; the same name in the same group is the same run, and the last table counts.
        columns: their names.
        rows: plain values, one for each column.

    Raises:
        UserError: if W&B does not take it.
    """
    mode = options.resolved_mode()
    if mode == "disabled":
        return mode
    identity = hashlib.sha256(f"{options.project}/{options.group}/{name}".encode()).hexdigest()[:16]
    run = begin_run(mode, id=identity, dir=folder, project=options.project, group=options.group, name=name)
    import wandb

    try:
        run.log({name: wandb.Table(columns=list(columns), data=[list(row) for row in rows])})
        run.finish()
    except (wandb.Error, TimeoutError) as error:
        raise UserError(
            f"W&B did not take the table ({error}): use `{command_line('sync', str(folder))}` later"
        ) from None
    return "offline" if run.offline else "online"
