"""Data that says what it consists of: in one line when a run starts, in summary.json and in checkpoints."""

import hashlib
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import torch
from pytorch_lightning import LightningDataModule
from pytorch_lightning.utilities import rank_zero_only


class DescribedDataModule(LightningDataModule, ABC):
    """A data module whose checkpoints hold a fingerprint of the data, with which a resumed or evaluated run compares.

    `fingerprint` and `found` are known after `setup`.
    """

    @property
    @abstractmethod
    def fingerprint(self) -> dict[str, int | str]:
        """Plain values that change with the data: the sizes of the splits and `hash`, one of the contents."""

    @property
    def found(self) -> str | None:
        """One line on what the user's files hold and what of them is left out; None for data that never varies."""
        return None

    @rank_zero_only
    def print_found(self) -> None:
        """Print `found`, if there is anything to say."""
        if self.found is not None:
            print(self.found, file=sys.stderr)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """A batch is on the CPU; Lightning would take it apart and put it together again to leave it there."""
        return batch if device.type == "cpu" else super().transfer_batch_to_device(batch, device, dataloader_idx)

    def state_dict(self) -> dict[str, Any]:
        """The fingerprint."""
        return {"fingerprint": self.fingerprint}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Print what has changed since the checkpoint was written."""
        predicts = self.trainer is not None and self.trainer.predicting  # other data, which may not be there
        if "fingerprint" in state_dict and not predicts:
            self._print_changes(state_dict["fingerprint"])

    @rank_zero_only
    def _print_changes(self, before: dict[str, int | str]) -> None:
        if changes := changes_text(before, self.fingerprint):
            print(f"the data is not the same as when the checkpoint was written: {changes}", file=sys.stderr)


def changes_text(before: dict[str, int | str], now: dict[str, int | str]) -> str:
    """What differs between two fingerprints: "train 36 -> 40"; for equal sizes with another hash "other contents"."""
    sizes = [name for name in now if name != "hash" and before.get(name) != now[name]]
    changes = [f"{name} {before.get(name, 'unknown')} -> {now[name]}" for name in sizes]
    if not changes and before.get("hash") != now["hash"]:
        return "other contents of the same size"
    return ", ".join(changes)


def content_hash(contents: Iterable[bytes]) -> str:
    """A short hash of all `contents` in their order; where one ends and the next begins matters."""
    return hash_of_pieces((len(content), [content]) for content in contents)


def hash_of_pieces(contents: Iterable[tuple[int, Iterable[bytes]]]) -> str:
    """`content_hash` of contents that come in pieces, each after its length in bytes."""
    digest = hashlib.blake2b(digest_size=8)
    for length, pieces in contents:
        digest.update(length.to_bytes(8, "big"))
        for piece in pieces:
            digest.update(piece)
    return digest.hexdigest()
