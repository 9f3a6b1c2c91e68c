"""Whose mistake is it? Errors of jsonargparse, Lightning and torch that the user's options cause become one message.

The user's are: whatever goes wrong while the command line is read, and while classes, optimizers and the Trainer are
made from it on purpose or by a library; Lightning's MisconfigurationException wherever it is raised; what a callback of
Lightning's or an optimizer of torch's refuses; what Lightning raises over an option that was set; a checkpoint that
cannot be restored; and a file system that refuses. All else is a bug.
"""

import linecache
import re
from pathlib import Path
from traceback import walk_tb
from types import FrameType
from typing import Any

import jsonargparse
import lightning_fabric
import pytorch_lightning
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from torch.optim import Optimizer

from lab.compat.restoring import while_restoring
from lab.errors import UserError
from lab.outcome import refusal
from lab.training.given import Given
from lab.training.option_in_question import NAMED_AND_QUOTED, NAMED_AND_SET, nodes_of, option_in_question, owners_of
from lab.training.signatures import Option, in_words, options_of
from lightning_models.modules.class_paths import nearest

JSONARGPARSE, LIGHTNING = (Path(str(library.__file__)).parent for library in (jsonargparse, pytorch_lightning))
LIBRARIES = (JSONARGPARSE, LIGHTNING, *(Path(str(library.__file__)).parent for library in (lightning_fabric, torch)))
FIRST_LEVEL = {
    **{"seed_everything": bool | int, "run_dir": str | None, "ckpt_path": str | None, "init_from": str | None},
    **{"resume": bool, "quiet": bool},
}
EXPECTED = {  # what Lightning's own messages leave out
    "trainer.accelerator": "expected auto, cpu, or gpu where torch finds one",
    "trainer.devices": "expected a whole number from 1 up, or auto",
    "trainer.num_nodes": "expected a whole number from 1 up",
    "trainer.strategy": "expected auto, or ddp for several processes",
    "trainer.gradient_clip_val": "leave it out; a GAN clips with --model.gradient_clip_norm",
    "trainer.accumulate_grad_batches": "leave it out, or make --data.batch_size larger",
    "trainer.max_epochs": "expected a whole number, on a resume more than the checkpoint has behind it, or -1",
    "trainer.barebones": "leave it out: it allows no metrics, checkpoints or pictures",
}
PROGRAMMING_ERRORS = (TypeError, AttributeError, NameError, LookupError, AssertionError, ArithmeticError)
WELL_WORDED = (ValueError, TypeError, RuntimeError, OSError, ImportError, MisconfigurationException)


# ---------------------------------------------------------------------------------------- while options are read


def parser_message(message: str, given: Given) -> str:
    """What jsonargparse says of a value, in words; a message of another form is passed on whole.

    Its messages name the last part of an option only; which one it was is looked up among those that were given.
    """
    if match := re.search(r"the following arguments are required: ([\w.]+)", message):
        return missing_option(match[1].rpartition(".")[2], given)
    if match := re.search(r"[Uu]nrecognized arguments: (.+)", message):
        flags = [name for name, value in given.tree.items() if str(value).lower() == match[1].lower()]
        return f"--{flags[0]} is {match[1]!r}: it takes no value" if flags else tidy(message)
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


def construction_mistake(error: Exception, config: dict[str, Any]) -> UserError | None:
    """The message for an error that was raised while objects were made from `config`, the resolved options.

    None for a bug: an expression of a class's own code that fails in a way that no value of an option explains.
    """
    error = innermost(error)
    if isinstance(error, UserError):
        return error
    frames = frames_of(error)
    if isinstance(error, PROGRAMMING_ERRORS) and not (is_raise_statement(frames) or raised_in(frames, *LIBRARIES)):
        return None
    return UserError(with_option(error, config))


def run_mistake(error: Exception, config: dict[str, Any]) -> UserError | None:
    """The message for an error that was raised while a command ran, if it is the user's mistake; else None."""
    if isinstance(error, UserError):
        return error
    frames = frames_of(error)
    if (refused := refusal(error)) is not None:
        return UserError(refused)
    if while_restoring(error):
        return UserError(f"{config['ckpt_path']} cannot be resumed from: {type(error).__name__}: {tidy(str(error))}")
    if (
        isinstance(error, MisconfigurationException)
        or any(frame.f_code.co_name == "configure_optimizers" for frame, _ in frames)
        or (is_raise_statement(frames) and refuses_an_option(error, frames, config))
    ):
        return construction_mistake(error, config)
    return None


def refuses_an_option(error: Exception, frames: list[tuple[FrameType, int]], config: dict[str, Any]) -> bool:
    """Whether a callback of Lightning or an optimizer of torch has raised, or Lightning over an option that was set."""
    if raised_in(frames, LIGHTNING / "callbacks") or isinstance(frames[-1][0].f_locals.get("self"), Optimizer):
        return True
    found = option_in_question(str(error), owners_of(frames), config)
    return raised_in(frames, LIGHTNING) and found is not None and found.rank in (NAMED_AND_QUOTED, NAMED_AND_SET)


def with_option(error: Exception, config: dict[str, Any]) -> str:
    """The error's message behind the option and the value that it is about, as far as they can be found."""
    message = tidy(str(error)) or type(error).__name__
    if not isinstance(error, WELL_WORDED):
        message = f"{type(error).__name__}: {message}"
    frames = frames_of(error)
    if found := option_in_question(message, owners_of(frames), config):
        expected = f" ({EXPECTED[found.option]})" if found.option in EXPECTED else ""
        return f"--{found.option} is {found.value}: {message}{expected}"
    for owner in owners_of([*(frame for frame in frames[:-1] if is_constructor(frame[0])), *frames[-1:]]):
        if nodes := nodes_of(owner, config):
            return f"--{nodes[0][0]}: {message}"
    return message


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


def raised_in(frames: list[tuple[FrameType, int]], *folders: Path) -> bool:
    """Whether the last frame is of a file in one of the folders."""
    return bool(frames) and not set(folders).isdisjoint(Path(frames[-1][0].f_code.co_filename).parents)


def is_raise_statement(frames: list[tuple[FrameType, int]]) -> bool:
    """Whether the error was raised on purpose, rather than by an expression that failed."""
    if not frames:
        return True  # it was never raised: somebody made it
    frame, line = frames[-1]
    return linecache.getline(frame.f_code.co_filename, line).strip().startswith("raise ")


def tidy(message: str) -> str:
    """The message on one line, without the layout of a list."""
    lines = [line.strip(" -") for line in message.splitlines() if line.strip(" -")]
    return "; ".join(lines).replace(":;", ":")
