"""The states of the random generators in the checkpoint, so that a resumed run draws the same numbers."""

import random
from typing import Any

import numpy as np
import torch
from pytorch_lightning import Callback, LightningModule, Trainer


class RandomState(Callback):
    """Saves and restores the states of torch's (CPU and CUDA), numpy's and Python's generators.

    They are restored as late as the first batch: earlier, set-up code may still draw numbers. All processes share one
    state (each takes its own rows of the same draws, see `latent.sample_latent`), so rank 0's serves all: that of its
    GPU is restored on each process's own.
    """

    def __init__(self) -> None:
        self.restored: dict[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        """The states as tensors and plain values, which `torch.load(weights_only=True)` opens."""
        version, numbers, gauss = random.getstate()
        name, keys, position, has_gauss, cached_gaussian = np.random.get_state(legacy=True)
        return {
            "torch": torch.get_rng_state(),
            "cuda": [torch.cuda.get_rng_state()] if torch.cuda.is_available() else [],  # of this process's device
            "numpy": [
                str(name),
                torch.from_numpy(np.asarray(keys).astype(np.int64)),
                position,
                has_gauss,
                cached_gaussian,
            ],
            "python": [version, list(numbers), gauss],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Hold the states until the first batch."""
        self.restored = state_dict

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Restore the states before the first batch."""
        if self.restored is None:
            return
        state, self.restored = self.restored, None
        torch.set_rng_state(state["torch"].cpu())
        if torch.cuda.is_available() and state["cuda"]:
            torch.cuda.set_rng_state(state["cuda"][0].cpu())
        name, keys, *rest = state["numpy"]
        np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
        version, numbers, gauss = state["python"]
        random.setstate((version, tuple(numbers), gauss))
