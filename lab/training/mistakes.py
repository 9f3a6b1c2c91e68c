"""Whose mistake is it? Errors of jsonargparse, Lightning and torch that the user's options cause become one message.

The user's are: whatever goes wrong while the command line is read, and while classes, optimizers and the Trainer are
made from it; Lightning's MisconfigurationException wherever it is raised; what a callback of Lightning's refuses; and
a file system that refuses. All else is a bug.
"""

import errno
import linecache
import re
from pathlib import Path
from traceback import walk_tb
from types import FrameType
from typing import Any

import jsonargparse
import pytorch_lightning
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning import Trainer

from lab.errors import UserError
from lab.training.given import CLASS, Given
from lab.training.option_checks import nearest
from lab.training.signatures import Option, in_words, options_of

JSONARGPARSE = Path(jsonargparse.__file__).parent
LIGHTNING_CALLBACKS = Path(pytorch_lightning.__file__).parent / "callbacks"
FIRST_LEVEL = {"seed_everything": bool | int, "run_dir": str | None, "ckpt_path": str | None, "quiet": bool}
REFUSED_BY_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG)
EXPECTED = {  # what Lightning's own messages leave out
    "trainer.accelerator": "expected auto, cpu, or gpu where torch finds one",
    "trainer.devices": "expected a whole number from 1 up, or auto",
    "trainer.num_nodes": "expected a whole number from 1 up",
    "trainer.strategy": "expected auto, or ddp for several processes",
    "trainer.gradient_clip_val": "leave it out; a GAN clips with --model.gradient_clip_norm",
    "trainer.accumulate_grad_batches": "leave it out, or make --data.batch_size larger",
    "trainer.max_epochs": "give more epochs than the checkpoint has behind it",
}
WELL_WORDED = (ValueError, TypeError, RuntimeError, OSError, ImportError, MisconfigurationException)


# ---------------------------------------------------------------------------------------- while options are read


def parser_message(message: str, given: Given) -> str:
    """What jsonargparse says of a value, in words; a message of another form is passed on whole.

    Its messages name the last part of an option only; which one it was is looked up among those that were given.
    """
    if match := re.search(r"the following arguments are required: ([\w.]+)", message):
        return missing_option(match[1].rpartition(".")[2], given)
    key = re.search(r'Parser key "([\w.]+)"', message)
    value = re.search(r"(?:Got|Given) value: (.*)", message)
    if key is None or value is None:
        return tidy(message)
    found = locate(given, key[1], value[1].strip())
    if found is None:
        return f"--{key[1]} is {value[1].strip()!r}: {tidy(message)}"
    path, option = found
    expected = in_words(option.hint)
    if expected is None:
        return f"--{path} is {value[1].strip()!r}: {tidy(message)}"
    hint = nearest(value[1].strip(), re.findall(r"[\w.-]+", expected)) if "one of" in expected else ""
    return f"--{path} is {value[1].strip()!r}: expected {expected}{hint}"


def missing_option(name: str, given: Given) -> str:
    """An argument without a default that was not given."""
    if name == "path" and "path" not in (given.tree.get("data") or {}):
        return "--data.path is missing: the folder or .zip of images to learn from"
    for path, node, owner in given.nodes:
        if name in options_of(owner) and name not in node:
            return f"--{path}.{name} is missing: {owner.__name__} needs it"
    return f"--{name} is missing"


def locate(given: Given, key: str, value: str) -> tuple[str, Option] | None:
    """The full name of the given option that ends in `key` and has that value, or holds it, and what it takes."""
    last = key.rpartition(".")[2]
    candidates = []
    for path, node, owner in given.nodes:
        options = options_of(owner)
        if last in node and last in options:
            candidates.append((f"{path}.{last}", options[last], node[last]))
    if last in FIRST_LEVEL:
        candidates.append((last, Option(FIRST_LEVEL[last], None), given.tree.get(last)))
    for path, option, found in candidates:
        if str(found) == value or (isinstance(found, list) and value in map(str, found)):
            return path, option
    return candidates[0][:2] if len(candidates) == 1 else None


# ---------------------------------------------------------------------------------------- while objects are made


def construction_mistake(error: Exception, config: dict[str, Any]) -> UserError:
    """The message for an error that was raised while objects were made from `config`, the resolved options."""
    error = innermost(error)
    return error if isinstance(error, UserError) else UserError(with_option(error, config))


def run_mistake(error: Exception, config: dict[str, Any]) -> UserError | None:
    """The message for an error that was raised while a command ran, if it is the user's mistake; else None."""
    if isinstance(error, UserError):
        return error
    frames = frames_of(error)
    refused = isinstance(error, OSError) and error.errno in REFUSED_BY_THE_DISK and error.filename is not None
    if refused and isinstance(error, OSError):
        return UserError(f"{error.filename}: {error.strerror}")
    if (
        isinstance(error, MisconfigurationException)
        or any(frame.f_code.co_name == "configure_optimizers" for frame, _ in frames)
        or (raised_in(frames, LIGHTNING_CALLBACKS) and is_raise_statement(frames))
    ):
        return construction_mistake(error, config)
    return None


def with_option(error: Exception, config: dict[str, Any]) -> str:
    """The error's message behind the option and the value that it is about, as far as they can be found."""
    message = tidy(str(error)) or type(error).__name__
    if not isinstance(error, WELL_WORDED):
        message = f"{type(error).__name__}: {message}"
    frames = frames_of(error)
    owners = [type(frame.f_locals["self"]) for frame, _ in reversed(frames) if is_constructor(frame)]
    for path, node in [found for owner in owners for found in nodes_of(owner, config)] + trainer_node(config):
        if (name := named_option(message, node)) is not None:
            option = f"{path}.{name}"
            expected = f" ({EXPECTED[option]})" if option in EXPECTED else ""
            return f"--{option} is {node[name]}: {message}{expected}"
    for owner in owners:
        if found := nodes_of(owner, config):
            return f"--{found[0][0]}: {message}"
    return message


def named_option(message: str, node: dict[str, Any]) -> str | None:
    """The option of a node that a message names or, failing that, whose value it quotes."""
    words = set(re.findall(r"[A-Za-z_]\w*", message))
    by_name = [name for name in node if name in words and ("_" in name or node[name] is not None)]
    if by_name:
        return max(by_name, key=len)
    quoted = [name for name, value in node.items() if is_quoted(value, message)]
    return quoted[0] if len(quoted) == 1 else None


def is_quoted(value: Any, message: str) -> bool:
    """Whether the message has the value as a word; values that any message may have do not count."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)) or str(value) in ("", "0", "1", "auto"):
        return False
    return re.search(rf"(?<![\w.-]){re.escape(str(value))}(?![\w-])", message) is not None


def nodes_of(owner: type, config: Any, path: str = "") -> list[tuple[str, dict[str, Any]]]:
    """Where in the resolved config an object of that class is described: its option and its own options."""
    if owner is Trainer or (path == "" and issubclass(owner, Trainer)):
        return trainer_node(config)
    found: list[tuple[str, dict[str, Any]]] = []
    if isinstance(config, dict):
        if str(config.get(CLASS, "")).rpartition(".")[2] == owner.__name__:
            found.append((path, config.get("init_args") or {}))
        for name, value in config.items():
            here = path if name == "init_args" else f"{path}.{name}".lstrip(".")
            found += nodes_of(owner, value, here)
    elif isinstance(config, list):
        for item in config:
            found += nodes_of(owner, item, path)
    return found


def trainer_node(config: Any) -> list[tuple[str, dict[str, Any]]]:
    """The Trainer's options, which are those of no class_path."""
    trainer = config.get("trainer") if isinstance(config, dict) else None
    return [("trainer", trainer)] if isinstance(trainer, dict) else []


def innermost(error: Exception) -> Exception:
    """The error that jsonargparse caught and raised again with its own text around it."""
    while not isinstance(error, UserError) and raised_in(frames_of(error), JSONARGPARSE):
        cause = error.__cause__ or error.__context__
        if not isinstance(cause, Exception):
            break
        error = cause
    return error


def frames_of(error: BaseException) -> list[tuple[FrameType, int]]:
    """The frames of a traceback with their lines, the one that raised last."""
    return list(walk_tb(error.__traceback__))


def is_constructor(frame: FrameType) -> bool:
    """Whether a frame is that of an `__init__`."""
    return frame.f_code.co_name == "__init__" and "self" in frame.f_locals


def raised_in(frames: list[tuple[FrameType, int]], folder: Path) -> bool:
    """Whether the last frame is of a file in the folder."""
    return bool(frames) and folder in Path(frames[-1][0].f_code.co_filename).parents


def is_raise_statement(frames: list[tuple[FrameType, int]]) -> bool:
    """Whether the error was raised on purpose, rather than by an expression that failed."""
    frame, line = frames[-1]
    return linecache.getline(frame.f_code.co_filename, line).strip().startswith("raise ")


def tidy(message: str) -> str:
    """The message on one line, without the layout of a list."""
    lines = [line.strip(" -") for line in message.splitlines() if line.strip(" -")]
    return "; ".join(lines).replace(":;", ":")
