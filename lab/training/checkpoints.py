"""Opening checkpoints, with a message for whatever can be wrong with one."""

import difflib
import importlib
import importlib.util
import pickle
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import LightningModule

from lab.errors import UserError
from lab.training import registry


def read_checkpoint(path: str) -> dict[str, Any]:
    """The content of a Lightning checkpoint; no code in it is run.

    Raises:
        UserError: if there is none, or it is none.
    """
    file = Path(path)
    if not file.is_file():
        message = f"there is no checkpoint {path}"
        others = sorted(str(p) for p in file.parent.glob("*.ckpt")) if file.parent.is_dir() else []
        if others:
            nearest = difflib.get_close_matches(str(file), others, n=3, cutoff=0) or others[:3]
            message += f": the folder holds {', '.join(nearest)}"
        else:
            message += ": a run keeps its own in RUN/checkpoints/last.ckpt"
        raise UserError(message)
    if not zipfile.is_zipfile(file):
        raise UserError(f"{path} is no checkpoint, or is cut off: use another one of the same run")
    try:
        checkpoint = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise UserError(f"{path} cannot be opened as a checkpoint ({reason})") from error
    if not isinstance(checkpoint, dict) or "state_dict" not in checkpoint:
        raise UserError(f"{path} is no Lightning checkpoint: it holds no state_dict")
    return checkpoint


def model_class(checkpoint: dict[str, Any]) -> str | None:
    """The full name of the class whose weights a checkpoint holds; None if it was not made by this project."""
    name = checkpoint.get("model_class")
    return name if isinstance(name, str) else None


def check_checkpoint(path: str, class_path: str) -> None:
    """Raise a UserError unless the checkpoint holds weights of `class_path`."""
    found = model_class(read_checkpoint(path))
    if found is not None and found != class_path:
        raise UserError(
            f"{path} holds a {found.rpartition('.')[2]} but a {class_path.rpartition('.')[2]} is asked for: "
            "use the config.yaml of the checkpoint's own run folder"
        )


def check_weights(path: str, model: LightningModule) -> None:
    """Raise a UserError unless the checkpoint's weights have the names and shapes of the model's."""
    kept, wanted = read_checkpoint(path)["state_dict"], model.state_dict()
    differing = [name for name in wanted if name in kept and kept[name].shape != wanted[name].shape]
    unmatched = sorted(kept.keys() ^ wanted.keys())
    if differing:
        name = differing[0]
        found = f"{name} is {tuple(kept[name].shape)} there and {tuple(wanted[name].shape)} in the model"
    elif unmatched:
        found = f"{unmatched[0]} is only in {'the checkpoint' if unmatched[0] in kept else 'the model'}"
    else:
        return
    raise UserError(
        f"{path} does not fit this {type(model).__name__}: {found} ({len(differing) + len(unmatched)} such weights). "
        "Use the config.yaml of the checkpoint's own run folder, and the same data"
    )


def carried(path: str) -> dict[str, Any]:
    """What the checkpoint tells the data: its vocabulary and its classes, as far as it has any."""
    kept = read_checkpoint(path).get("hyper_parameters", {})
    return {name: kept[name] for name in registry.CARRIED if kept.get(name) is not None}


def check_carried(path: str, model: LightningModule) -> None:
    """Raise a UserError if the model that was made for the data has another vocabulary or other classes."""
    for name, kept in carried(path).items():
        found = model.hparams.get(name)
        if found is None or list(found) != list(kept):
            words = name.replace("_", " ")
            raise UserError(
                f"{path} was made with other {words} than this data has: {shown(kept)} there, {shown(found)} here. "
                f"Use the data that it was made with, or leave out --data.{name}"
            )


def shown(values: Sequence[str] | None, most: int = 8) -> str:
    """The first of `values` and their number."""
    if values is None:
        return "none"
    listed = " ".join(map(repr, values[:most])) + (" ..." if len(values) > most else "")
    return f"{len(values)} ({listed})"


def load_model(path: str) -> LightningModule:
    """The model of a checkpoint, on the CPU, in evaluation mode.

    Raises:
        UserError: if its class is not this project's, or is not known any more.
    """
    checkpoint = read_checkpoint(path)
    name = model_class(checkpoint)
    if name is None or not name.startswith("lightning_models."):
        raise UserError(f"{path} names no model of this project (found {name})")
    module_name, _, class_name = name.rpartition(".")
    known = importlib.util.find_spec(module_name) is not None
    model = getattr(importlib.import_module(module_name), class_name, None) if known else None
    if not (isinstance(model, type) and issubclass(model, LightningModule)):
        raise UserError(f"{path} holds a {name}, which this version does not have")
    return model.load_from_checkpoint(path, map_location="cpu", weights_only=True).eval()
