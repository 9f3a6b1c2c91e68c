"""Opens checkpoints and checks that they fit a model, with a message for whatever can be wrong with one."""

import difflib
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any

import yaml
from pytorch_lightning import LightningModule
from torch import Tensor

from lab.compat.moved_options import current_checkpoint
from lab.errors import UserError
from lab.training import registry
from lightning_models.modules.class_paths import allowed, check_checkpoint_names, class_at, packages_in
from lightning_models.modules.plain_checkpoint import PlainCheckpoint, open_checkpoint


def read_checkpoint(path: str, every_byte: bool = False) -> dict[str, Any]:
    """The content of a Lightning checkpoint under the names of today; see `open_checkpoint`.

    Raises:
        UserError: if the file does not exist, is not a checkpoint or is damaged.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        message = f"{path} is a folder and no checkpoint" if file.is_dir() else f"there is no checkpoint {path}"
        places = (file, file / "checkpoints") if file.is_dir() else (file.parent,)
        others = sorted(str(found) for place in places for found in place.glob("*.ckpt"))
        if others:
            nearest = difflib.get_close_matches(str(file), others, n=3, cutoff=0) or others[:3]
            message += f": the folder holds {', '.join(nearest)}"
        else:
            message += ": a run keeps its own in RUN/checkpoints/last.ckpt"
        raise UserError(message)
    return current_checkpoint(open_checkpoint(file, every_byte))


def model_class(checkpoint: dict[str, Any]) -> str | None:
    """The full name of the class whose weights a checkpoint holds; None if another project wrote it."""
    name = checkpoint.get("model_class")
    return name if isinstance(name, str) else None


def check_checkpoint(path: str, class_path: str) -> None:
    """Raise a UserError unless the checkpoint holds weights of `class_path`."""
    found = model_class(read_checkpoint(path, every_byte=True))
    if found is not None and found != class_path:
        raise UserError(
            f"{path} holds a {found.rpartition('.')[2]}, but the model is a {class_path.rpartition('.')[2]}: "
            "use the config.yaml of the checkpoint's own run folder"
        )


def check_weights(path: str, model: LightningModule) -> None:
    """Raise a UserError unless the checkpoint's weights have the names and shapes of the model's."""
    stored, wanted = read_checkpoint(path)["state_dict"], model.state_dict()
    differing = [name for name in wanted if name in stored and shape_of(stored[name]) != tuple(wanted[name].shape)]
    unmatched = sorted(stored.keys() ^ wanted.keys())
    if differing:
        name = differing[0]
        found = f"{name} is {shape_of(stored[name])} there and {tuple(wanted[name].shape)} in the model"
    elif unmatched:
        found = f"{unmatched[0]} is only in {'the checkpoint' if unmatched[0] in stored else 'the model'}"
    else:
        return
    raise UserError(
        f"{path} does not fit this {type(model).__name__}: {found} ({len(differing) + len(unmatched)} such weights). "
        "Use the config.yaml of the checkpoint's own run folder, and the same data"
    )


def shape_of(weight: Any) -> tuple[int, ...] | str:
    """The shape of a tensor in a checkpoint; "no tensor" for anything else that stands in its place."""
    return tuple(weight.shape) if isinstance(weight, Tensor) else "no tensor"


def carried(path: str) -> dict[str, Any]:
    """The data options that a checkpoint stores: its vocabulary and its classes, where it has any."""
    stored = read_checkpoint(path).get("hyper_parameters", {})
    return {name: stored[name] for name in registry.CARRIED if stored.get(name) is not None}


def check_carried(path: str, model: LightningModule, data_options: Container[str]) -> None:
    """Raise a UserError if the model that was made for the data has another vocabulary or other classes.

    Args:
        path: the checkpoint.
        model: as it was made from the options.
        data_options: the options that the data has.
    """
    for name, stored in carried(path).items():
        found = model.hparams.get(name)
        if found is None or list(found) != list(stored):
            words = name.replace("_", " ")
            remedy = f", or leave out --data.{name}" if name in data_options else ""
            raise UserError(
                f"the {words} of {path} and of this data differ: {preview(stored)} there, {preview(found)} here. "
                f"Use the data that it was trained on{remedy}"
            )


def preview(values: Sequence[str] | None, most: int = 8) -> str:
    """Their number and the first of them: `29 ('a' 'b' ...)`."""
    if values is None:
        return "none"
    listed = " ".join(map(repr, values[:most])) + (" ..." if len(values) > most else "")
    return f"{len(values)} ({listed})"


def load_model(path: str) -> LightningModule:
    """The model of a checkpoint, on the CPU, in evaluation mode.

    Classes of other projects are imported if the user has named their packages: with `--allow`, or in the config.yaml
    of the run that the checkpoint belongs to.

    Raises:
        UserError: if its class is not allowed or does not exist, or the checkpoint does not fit it.
    """
    checkpoint = read_checkpoint(path, every_byte=True)
    name = model_class(checkpoint)
    if name is None:
        raise UserError(f"{path} holds no model of this project: its class is None")
    with allowed(packages_in(config_of_run(path))):
        check_checkpoint_names(checkpoint, path)
        try:
            model = class_at(name)
        except UserError as error:
            raise UserError(f"{path} holds a {name}, which does not exist here: {error}") from error
        if not (isinstance(model, type) and issubclass(model, PlainCheckpoint)):
            raise UserError(f"{path} holds a {name}, which is no model that checkpoints can be opened of")
        loaded = model.load_from_checkpoint(Path(path).expanduser(), map_location="cpu", weights_only=True)
    return loaded.eval()


def config_of_run(path: str) -> Any:
    """The options in the config.yaml of the run folder that a checkpoint lies in; None if there is none."""
    folder = run_folder_of(path)
    if folder is None:
        return None
    try:
        return yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return None  # was edited, and is not needed


def run_folder_of(path: str) -> Path | None:
    """The run folder, RUN of RUN/checkpoints/last.ckpt, that a checkpoint lies in; None if it lies in none."""
    folder = Path(path).expanduser().absolute().parent.parent
    return folder if (folder / "config.yaml").is_file() else None
