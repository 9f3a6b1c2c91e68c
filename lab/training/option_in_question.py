"""Finds the option that a library's error message is about: the message names it, quotes its value, or both."""

import re
from types import FrameType
from typing import Any, NamedTuple

from pytorch_lightning import Trainer

from lab.training.given import CLASS
from lab.training.signatures import options_of

NAMED_AND_QUOTED, NAMED_AND_SET, QUOTED_AND_SET, NAMED, QUOTED = range(5)  # from sure to doubtful


class Question(NamedTuple):
    """An option that a message may be about; `set` means to another value than its default."""

    rank: int
    order: int  # of the object: the one that raised is the first
    option: str
    value: Any


def option_in_question(message: str, owners: list[type], config: dict[str, Any]) -> Question | None:
    """The option that a message is most probably about: it names it, quotes its value, or does both.

    Args:
        message: what was raised.
        owners: the classes whose options come into question; those of the Trainer always do if they are named.
        config: the resolved options.
    """
    found: list[Question] = []
    nodes = [(owner, *node) for owner in owners for node in nodes_of(owner, config)]
    for order, (owner, path, node) in enumerate([*nodes, *((Trainer, *node) for node in trainer_node(config))]):
        defaults = options_of(owner)
        ranks = {
            name: rank_of(name, value, message, name in defaults and value == defaults[name].default)
            for name, value in node.items()
        }
        for name, rank in ranks.items():
            is_certain = rank in (NAMED_AND_QUOTED, NAMED_AND_SET, NAMED)
            may_be_quoted = (order < len(nodes) or not nodes) and list(ranks.values()).count(rank) == 1
            if rank is not None and (is_certain or may_be_quoted):
                found.append(Question(rank, order, f"{path}.{name}", node[name]))
    return min(found, key=lambda question: (question[:2], -len(question.option)), default=None)


def rank_of(name: str, value: Any, message: str, is_default: bool) -> int | None:
    """How surely a message is about an option, as a sort key; None if it is not."""
    words = set(re.findall(r"[a-z_]\w*", message.lower()))
    is_named = bool(words & {name, name.removesuffix("s")}) and ("_" in name or value is not None)
    is_quoted = quotes(message, value)
    if is_named and (is_quoted or not is_default):
        return NAMED_AND_QUOTED if is_quoted else NAMED_AND_SET
    if is_quoted:
        return QUOTED if is_default else QUOTED_AND_SET
    return NAMED if is_named else None


def quotes(message: str, value: Any) -> bool:
    """Whether the message has the value, or one of a list; texts that any message may have count in quotes only."""
    if isinstance(value, (list, tuple)):
        return any(quotes(message, item) for item in value)
    if isinstance(value, bool) or not isinstance(value, (int, float, str)) or value == "":
        return False
    text = re.escape(str(value))
    if str(value) in ("0", "1", "auto"):
        return isinstance(value, str) and re.search(rf"(['\"`]){text}\1", message) is not None
    return re.search(rf"(?<![\w.-]){text}(?![\w-])", message) is not None


def owners_of(frames: list[tuple[FrameType, int]]) -> list[type]:
    """The classes whose methods were running, the one that raised first."""
    methods = [frame.f_locals["self"] for frame, _ in reversed(frames) if "self" in frame.f_locals]
    return list(dict.fromkeys(map(type, methods)))


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
