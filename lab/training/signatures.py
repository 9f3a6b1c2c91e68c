"""What the constructor of a class takes: names, types in words, and the classes that fit a type."""

import inspect
import types
from collections.abc import Callable, Iterable
from collections.abc import Callable as AbstractCallable
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from torch import nn

from lab.compat.moved import current_path
from lightning_models.modules.class_paths import module_at

PLAIN = {int: "a whole number", float: "a number", bool: "true or false", str: "text", type(None): "null"}
CONTAINERS = (list, tuple, set, dict)


@dataclass(frozen=True)
class Option:
    """An argument of a constructor: its type hint (Any if it has none) and its default."""

    hint: Any
    default: Any

    @property
    def takes_null(self) -> bool:
        """Whether None is allowed."""
        return self.hint is Any or self.default is None or type(None) in members(self.hint)


def options_of(owner: Callable[..., Any], given_by_caller: int = 0) -> dict[str, Option]:
    """The options of a class by name; where its constructor takes `**kwargs`, those of its base classes, too.

    Args:
        owner: a class, or a function.
        given_by_caller: how many of the first arguments whoever builds the object passes itself.
    """
    found: dict[str, Option] = {}
    functions: list[Any] = [owner]
    if isinstance(owner, type):
        functions = [vars(base)["__init__"] for base in owner.__mro__ if "__init__" in vars(base)]
    for function in functions:
        parameters = list(inspect.signature(function).parameters.values())
        hints = hints_of(function)
        for parameter in parameters:
            if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY) and parameter.name != "self":
                found.setdefault(parameter.name, Option(hints.get(parameter.name, Any), parameter.default))
        if not any(parameter.kind == parameter.VAR_KEYWORD for parameter in parameters):
            break
    return dict(list(found.items())[given_by_caller:])


def hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The type hints of a function; none where a name in them cannot be resolved."""
    try:
        return get_type_hints(function)
    except (NameError, TypeError, AttributeError):
        return {}


def members(hint: Any) -> list[Any]:
    """The types of a union, or the one type."""
    if get_origin(hint) in (Union, types.UnionType):
        return [member for part in get_args(hint) for member in members(part)]
    return [hint]


def built_class(hint: Any) -> tuple[type, int] | None:
    """The class that a class_path of this type must be a kind of, and how many arguments its builder passes.

    `Schedule` gives (Schedule, 0), `Callable[[int, Shape], Generator]` gives (Generator, 2), `list[Callback]` gives
    (Callback, 0); None for numbers, texts and the like.
    """
    kinds = members(hint)
    if any(kind in (int, float, str) for kind in kinds):
        return None  # a learning rate may be a Tensor, too; what is typed is a number
    for member in kinds:
        origin, arguments = get_origin(member), get_args(member)
        if origin in (AbstractCallable, types.FunctionType) and len(arguments) == 2 and isinstance(arguments[0], list):
            if isinstance(arguments[1], type):
                return arguments[1], len(arguments[0])
        elif origin in (list, tuple, Iterable) and arguments:
            if inner := built_class(arguments[0]):
                return inner
        elif isinstance(member, type) and origin is None and member not in (*PLAIN, *CONTAINERS, object):
            return member, 0
    return None


def takes_bool(hint: Any) -> bool:
    """Whether true and false are allowed beside the classes of this type, as for the Trainer's `logger`."""
    return bool in members(hint)


def unclear_builder(option: Option, is_given: bool) -> bool:
    """Whether an injected network, given or described by the default, is annotated `Callable[..., Network]`.

    Nobody can tell which arguments of the network its builder passes, and which are options.
    """
    for member in members(option.hint):
        if get_origin(member) is AbstractCallable and get_args(member)[:1] == (Ellipsis,):
            built = get_args(member)[1]
            is_network = isinstance(built, type) and issubclass(built, nn.Module)
            return is_network and (is_given or isinstance(option.default, dict))
    return False


def subclasses(base: type) -> dict[str, type]:
    """The classes under `base`, and itself, that can be instantiated, by name, as far as they are imported."""
    found: dict[str, type] = {}
    pending = [base]
    while pending:
        kind = pending.pop(0)
        pending += kind.__subclasses__()
        if not inspect.isabstract(kind) and not kind.__name__.startswith("_"):
            found.setdefault(kind.__name__, kind)
    return found


def find_class(name: str, base: type) -> Any:
    """What `name` stands for: a short name of a kind of `base`, or a full import path; None if there is nothing."""
    if name in (known := subclasses(base)):
        return known[name]
    module_name, _, attribute = current_path(name).rpartition(".")
    module = module_at(module_name)
    return None if module is None else getattr(module, attribute, None)


def in_words(hint: Any) -> str | None:
    """What an option of this type takes, for people: "a whole number or null"; None where words would mislead."""
    choices: list[str] = []
    words: list[str] = []
    kinds = members(hint)
    plain = [kind for kind in kinds if kind in (int, float, str)]
    for member in kinds:
        if get_origin(member) is Literal:
            choices += [str(choice) for choice in get_args(member)]
        elif member in PLAIN:
            words.append(PLAIN[member])
        elif get_origin(member) in (list, tuple):
            words.append(list_in_words(get_args(member)))
        elif plain and isinstance(member, type):
            continue  # such as Tensor beside float
        elif (built := built_class(member)) is not None:
            words.append(f"a kind of {built[0].__name__}")
        else:
            return None
    if choices:
        words.insert(0, f"one of {', '.join(dict.fromkeys(choices))}")
    return " or ".join(dict.fromkeys(words))


def list_in_words(items: tuple[Any, ...]) -> str:
    """`a list of whole numbers`, `a list of 2 numbers`."""
    count = f"{len(items)} " if Ellipsis not in items and len(items) > 1 else ""
    single = [in_words(item) or "" for item in items if item is not Ellipsis]
    plural = {"a whole number": "whole numbers", "a number": "numbers", "text": "texts"}
    return f"a list of {count}{plural.get(single[0], 'values') if single else 'values'}"
