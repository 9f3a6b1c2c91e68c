"""Self-contained checkpoints that can be opened safely: plain values, tensors, and the name of the model's class."""

import inspect
import os
import warnings
import zipfile
from typing import Any, TypeVar

import torch
from pytorch_lightning import LightningModule

from lab.compat.moved_options import current_checkpoint
from lab.errors import UserError
from lab.files import is_text
from lightning_models.metrics.means import keep_sums_of_all_processes
from lightning_models.modules.class_paths import HYPERPARAMETERS, check_checkpoint_names
from lightning_models.modules.injection import describe, parameter_names

M = TypeVar("M", bound=LightningModule)
REMEDY = "use another one of the same run"


def open_checkpoint(path: str | os.PathLike[str], every_byte: bool = False) -> dict[str, Any]:
    """The content of a checkpoint on the CPU; no code in it is run, and nothing is imported for it.

    Args:
        path: of an existing file.
        every_byte: read all of it and compare its checksums; otherwise weights are read when they are used.

    Raises:
        UserError: if the file is no checkpoint, or damaged.
        OSError: if it cannot be read.
    """
    with open(path, "rb") as file:
        is_whole = zipfile.is_zipfile(file)
    if not is_whole:
        raise UserError(f"{path} is not a checkpoint, or was cut off: {REMEDY}")
    try:
        damaged = zipfile.ZipFile(path).testzip() if every_byte else None
        checkpoint = torch.load(
            path, map_location="cpu", weights_only=True, mmap=is_text(path)
        )  # PyTorch maps no others
    except Exception as error:  # a damaged file makes a reader fail in any way
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise UserError(
            f"{path} cannot be opened as a checkpoint ({reason}): use another one of the same run"
        ) from error
    if damaged is not None:
        raise UserError(f"{path} is damaged (the checksum of {damaged} is wrong): {REMEDY}")
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("state_dict"), dict):
        raise UserError(f"{path} is not a Lightning checkpoint: it holds no state_dict")
    for name in ("state_dict", *HYPERPARAMETERS):
        content = checkpoint.get(name, {})
        if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
            raise UserError(f"{path} is not a checkpoint: expected values with names as its {name}")
    return checkpoint


class PlainCheckpoint(LightningModule):
    """A module whose checkpoints `torch.load(weights_only=True)` opens, also where it was built in Python."""

    def __setattr__(self, name: str, value: Any) -> None:
        """Lightning notes each hook's name in the module, and torch would see whether it is a parameter."""
        if type(value) is str:
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    def keep_hyperparameters(self) -> None:
        """Store the arguments of `__init__`, which calls this; injected objects are stored as plain descriptions.

        Raises:
            UserError: for an injected object that cannot be described, such as a lambda.
        """
        frame = inspect.currentframe()
        assert frame is not None
        with warnings.catch_warnings():
            # A module among them, such as a likelihood, is described below; its weights are stored once, elsewhere.
            warnings.filterwarnings("ignore", message="Attribute .* is an instance of `nn.Module`")
            self.save_hyperparameters(frame=frame.f_back)
        # The command line adds two keys for a loader that builds the module through a parser, and values linked to
        # other models, such as class names. Without them `load_from_checkpoint` calls the class itself.
        known = parameter_names(type(self))
        given = {name: value for name, value in self.hparams.items() if name in known}
        self.hparams.clear()
        self.hparams.update(describe(given))

    @classmethod
    def load_from_checkpoint(cls: type[M], checkpoint_path: Any, *args: Any, **kwargs: Any) -> M:
        """Like Lightning's, also for checkpoints of earlier versions, whose options have other names.

        Raises:
            UserError: if the file is no checkpoint, does not fit the class, or names classes of other projects whose
                modules nobody has imported or allowed (see `class_paths`).
        """
        if isinstance(checkpoint_path, (str, os.PathLike)) and os.path.isfile(checkpoint_path):
            kept = open_checkpoint(checkpoint_path)
            check_checkpoint_names(kept, checkpoint_path)
            if (current := current_checkpoint(kept)) is not kept:
                kwargs = {**current["hyper_parameters"], **kwargs}
        try:
            loaded: M = super().load_from_checkpoint(checkpoint_path, *args, **kwargs)
        except (UserError, OSError):
            raise
        except Exception as error:  # weights or options that the class does not take, in any way
            reason = "; ".join(line.strip() for line in str(error).splitlines() if line.strip())[:300]
            raise UserError(f"{checkpoint_path} does not fit the class {cls.__name__} of today: {reason}") from error
        return loaded

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Rename the weights of a checkpoint of an earlier version."""
        checkpoint.update(current_checkpoint(checkpoint))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store the name of the class, so that the checkpoint alone can be opened, and metrics over all processes."""
        checkpoint["model_class"] = f"{type(self).__module__}.{type(self).__qualname__}"
        keep_sums_of_all_processes(self, checkpoint["state_dict"])
