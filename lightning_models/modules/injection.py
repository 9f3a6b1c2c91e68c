"""Objects that a module is given (networks, objectives, optimizers), as plain values and back.

On the command line jsonargparse checks and builds them. In Python a caller may pass a class, a `functools.partial` of
one, an object, or the same `{"class_path": ..., "init_args": ...}` that a config file holds. The last form is also what
a checkpoint keeps: plain values, so that `torch.load(weights_only=True)` opens it.
"""

import functools
import importlib
import inspect
from typing import Any, TypeVar

from torch import nn

from lab.compat.moved import current_path
from lab.errors import UserError

T = TypeVar("T")
PLAIN_TYPES = (bool, int, float, str, type(None))


def default(class_path: str, **init_args: Any) -> Any:
    """A default value for an injected object.

    A dict and not an object: jsonargparse can neither write a callable with tuple arguments into a config nor change
    one argument of it (`--model.optimizer_g.lr 1e-3` keeps the other defaults of a dict).
    """
    return {"class_path": class_path, "init_args": init_args}


def build(given: Any, expected: type[T], *args: Any) -> T:
    """The object that `given` describes: `given(*args)`, or the class of a class_path dict with its init_args.

    Raises:
        ValueError: if the result is no `expected`, for instance because a checkpoint names some other class.
    """
    if isinstance(given, dict):
        module_name, _, class_name = current_path(given["class_path"]).rpartition(".")
        given_class = getattr(importlib.import_module(module_name), class_name)
        if not (isinstance(given_class, type) and issubclass(given_class, expected)):
            raise UserError(f"{given['class_path']} is not a kind of {expected.__name__}")
        return given_class(*args, **given.get("init_args", {}))
    built = given if isinstance(given, expected) else given(*args)
    if not isinstance(built, expected):
        raise UserError(f"{given!r} makes a {type(built).__name__}, expected a kind of {expected.__name__}")
    return built


def describe(given: Any) -> Any:
    """`given` as plain values: what `build` turns into an equal object again.

    Objects are described by their constructor's arguments, which they must keep under the same names. What a module has
    learned is not described: it is in the checkpoint's weights.

    Raises:
        ValueError: for what cannot be described, such as a lambda.
    """
    if isinstance(given, PLAIN_TYPES):
        return given
    if isinstance(given, dict):
        return {key: describe(value) for key, value in given.items()}
    if isinstance(given, (list, tuple)):
        return [describe(value) for value in given]
    if isinstance(given, type):
        return default(f"{given.__module__}.{given.__qualname__}")
    if isinstance(given, functools.partial) and isinstance(given.func, type) and not given.args:
        return default(f"{given.func.__module__}.{given.func.__qualname__}", **describe(given.keywords))
    is_object = isinstance(given, nn.Module) or not callable(given)
    parameters = inspect.signature(type(given)).parameters.values() if is_object else ()
    names = [p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    if not is_object or not all(hasattr(given, name) for name in names):
        raise UserError(
            f"{given!r} cannot be kept in a checkpoint: give a class, functools.partial(Class, option=value), "
            'or {"class_path": ..., "init_args": {...}}'
        )
    arguments = {name: describe(getattr(given, name)) for name in names}
    return default(f"{type(given).__module__}.{type(given).__qualname__}", **arguments)


def parameter_names(owner: type) -> list[str]:
    """The constructor's options; where it takes `**kwargs`, also those of the class that it hands them to."""
    names: list[str] = []
    for base in owner.__mro__:
        if "__init__" not in vars(base):
            continue
        parameters = inspect.signature(vars(base)["__init__"]).parameters.values()
        names += [
            p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and p.name != "self"
        ]
        if not any(p.kind == p.VAR_KEYWORD for p in parameters):
            break
    return list(dict.fromkeys(names))
