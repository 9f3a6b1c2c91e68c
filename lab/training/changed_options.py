"""Compares the options of a resumed run with those that it had before, and decides which may change."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml
from pytorch_lightning import Callback, LightningDataModule, LightningModule, Trainer
from pytorch_lightning.utilities import rank_zero_only
from torch.optim import Optimizer

from datamodules.described_data import DescribedDataModule
from lab.compat.moved import current_config
from lab.compat.moved_options import current_model
from lab.errors import UserError
from lab.training import registry
from lab.training.checkpoints import config_of_run
from lab.training.given import CLASS, flattened
from lab.training.signatures import find_class

OF_A_START = ("config", "ckpt_path", "run_dir", "resume", "quiet")  # of the command, not of the run

# Options of this project's data that may change on a resume; all others decide which samples there are and in which
# split they are. That other data lies there is told by its fingerprint; what is drawn for a batch is a function of the
# batch alone; and the loader refuses what it cannot go on with in the middle of an epoch (`ResumableLoader.layout`).
LIES_WHERE = ("path", "root", "download", "cache_dir", "predict_path", *registry.CARRIED)
DRAWN_FOR_A_BATCH = ("horizontal_flip", "random_shift")
REFUSED_BY_THE_LOADER = ("batch_size", "batches", "chunk_length", "shuffle", "with_replacement", "drop_last")
MAY_CHANGE = {*LIES_WHERE, *DRAWN_FOR_A_BATCH, *REFUSED_BY_THE_LOADER}


@dataclass(frozen=True)
class Change:
    """An option that differs, as it is typed; where a class was exchanged, the paths of both classes."""

    option: str
    before: Any
    now: Any
    is_class: bool = False

    def __str__(self) -> str:
        values = (self.before, self.now)
        before, now = [str(value).rpartition(".")[2] if self.is_class else shown(value) for value in values]
        return f"{self.option} {before} -> {now}"


def recorded_options(checkpoint: dict[str, Any], path: str) -> dict[str, Any] | None:
    """The options of the run that wrote a checkpoint, as in its config.yaml; None if they are not known.

    Checkpoints of earlier versions do not have them: those of the run folder are taken, if the checkpoint lies in one.
    """
    text = checkpoint.get("options")
    try:
        options = current_config(yaml.safe_load(text) if isinstance(text, str) else config_of_run(path))
    except yaml.YAMLError as error:
        raise UserError(
            f"the options of the run that wrote {path} cannot be read from it: it was tampered with"
        ) from error
    if not isinstance(options, dict):
        return None
    model = options.get("model")
    return {**options, "model": current_model(model)} if isinstance(model, dict) else options


def changed_options(before: dict[str, Any], now: dict[str, Any]) -> list[Change]:
    """The differences between the options of a run and those that it is resumed with, both as in a config.yaml.

    Options that only one of them has are those of another version, or of a class that was exchanged.
    """
    kept = [{name: value for name, value in options.items() if name not in OF_A_START} for options in (before, now)]
    return list(differences(flattened(kept[0]), flattened(kept[1]), ""))


def differences(before: dict[str, Any], now: dict[str, Any], path: str) -> Iterator[Change]:
    """The changes below one option; where the class is another, that alone."""
    if before.get(CLASS) != now.get(CLASS):
        yield Change(path, before.get(CLASS), now.get(CLASS), is_class=True)
        return
    for name, value in now.items():
        option = f"{path}.{name}".lstrip(".")
        if name not in before or before[name] == value:
            continue
        if isinstance(before[name], dict) and isinstance(value, dict):
            yield from differences(before[name], value, option)
        else:
            yield Change(option, before[name], value)


def check_changes(changes: list[Change], now: dict[str, Any]) -> None:
    """Raise a UserError that lists all changes with which the run cannot be resumed.

    Args:
        changes: of the options.
        now: the options that the run is resumed with.
    """
    refused = [change for change in changes if not may_change(change, now)]
    if refused:
        raise UserError(
            "a resumed run keeps its data, its seed, its model, its first weights, the class of its optimizers and "
            "whether their learning rate is constant, but "
            f"{', '.join(map(str, refused))}: leave that as it was, or start a new run in another --run_dir"
        )


def may_change(change: Change, now: dict[str, Any]) -> bool:
    """Whether a run can be resumed with this change.

    Whatever a run reads anew when it starts may change: limits, devices, what is logged, losses, the options of
    optimizers and schedules. Options of data modules from other projects are not checked.
    """
    group, _, name = change.option.partition(".")
    if change.option in ("seed_everything", "model", "data", "init_from"):
        return False
    if change.option == "model.schedule":  # the state of an optimizer holds the last rate that one has set
        return "Constant" not in (str(path).rpartition(".")[2] for path in (change.before, change.now))
    if group == "model":
        return not (change.is_class and is_optimizer(change.now))
    data = find_class(now["data"][CLASS], LightningDataModule)
    ours = data in registry.DATA or issubclass(data, DescribedDataModule)
    return group != "data" or not ours or name in MAY_CHANGE


def is_optimizer(class_path: str | None) -> bool:
    """Whether this is the class path of an optimizer."""
    found = None if class_path is None else find_class(class_path, Optimizer)
    return isinstance(found, type) and issubclass(found, Optimizer)


def belongs_to_an_optimizer(change: Change, now: dict[str, Any]) -> bool:
    """Whether this is an option of an optimizer; these are printed where they are used, in `GivenOptimizerOptions`."""
    node: Any = flattened(now)
    for name in change.option.split(".")[:-1]:
        node = node.get(name) if isinstance(node, dict) else None
    return isinstance(node, dict) and is_optimizer(node.get(CLASS))


class RecordedOptions(Callback):
    """Keeps the options of the run in its checkpoints, where a resume finds them whatever became of the folder.

    Args:
        text: what is written to config.yaml.
    """

    def __init__(self, text: str) -> None:
        self.text = text

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint["options"] = self.text


@rank_zero_only
def print_changes(changes: list[Change], now: dict[str, Any]) -> None:
    """One line with all but the options of optimizers; none if nothing has changed."""
    told = [str(change) for change in changes if not belongs_to_an_optimizer(change, now)]
    if told:
        print(f"resumed with {', '.join(told)}", file=sys.stderr)


def shown(value: Any) -> str:
    """A value for a message: the last part of a class path, `null` for None, the beginning of what is long."""
    if isinstance(value, dict):
        value = str(value[CLASS]).rpartition(".")[2] if CLASS in value else value
    text = "null" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
