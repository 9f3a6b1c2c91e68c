"""Checkpoints that are never half-written."""

from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins import CheckpointIO, TorchCheckpointIO

from lab.files import UNFINISHED, atomic_write, unfinished_prefix


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its target, flushes it to the disk and renames it.

    Lightning's own plugin holds the whole checkpoint in memory, writes it to $TMPDIR and, where that is another file
    system, copies it over the target: a kill in that moment loses the checkpoint before as well
    (https://github.com/Lightning-AI/pytorch-lightning/issues/21253), and a small $TMPDIR makes every checkpoint fail.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write the checkpoint; addresses such as s3://bucket/last.ckpt are left to Lightning.

        What a killed process has left unfinished for the same target is removed: a run folder belongs to one process.
        """
        if storage_options is not None or "://" in str(path):
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        path = Path(path)
        if path.parent.is_dir():
            for left in path.parent.iterdir():
                if left.name.startswith(unfinished_prefix(path)) and left.name.endswith(UNFINISHED):
                    left.unlink(missing_ok=True)
        with atomic_write(path) as unfinished:
            torch.save(checkpoint, unfinished)


def with_atomic_checkpoints(plugins: Any) -> list[Any]:
    """The Trainer's plugins with this one, unless the user chose another CheckpointIO."""
    given = [] if plugins is None else list(plugins) if isinstance(plugins, (list, tuple)) else [plugins]
    return given if any(isinstance(plugin, CheckpointIO) for plugin in given) else [*given, AtomicCheckpointIO()]
