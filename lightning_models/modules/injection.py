"""Injected objects (networks, objectives, optimizers): built from plain descriptions, and described by plain values.

On the command line jsonargparse checks and builds them. In Python a caller may pass a class, a `functools.partial` of
one, an object, or the same `{"class_path": ..., "init_args": ...}` as in a config file. Checkpoints store that last
form, which `torch.load(weights_only=True)` opens.
"""

import functools
import inspect
from typing import Any, TypeVar

from torch import nn

from lab.errors import UserError
from lightning_models.modules.class_paths import class_at

T = TypeVar("T")
PLAIN_TYPES = (bool, int, float, str, type(None))


def default(class_path: str, **init_args: Any) -> Any:
    """The default of an injected object, as a description.

    Not an object: jsonargparse can neither write a callable with tuple arguments to a config nor change one of its
    arguments, while `--model.optimizer_g.lr 1e-3` keeps the other arguments of a description.
    """
    return {"class_path": class_path, "init_args": init_args}


def build(given: Any, expected: type[T], *args: Any, **options: Any) -> T:
    """The object that `given` describes: `given(*args)`, or the class of a class_path dict with `args` and init_args.

    `options` are added to the latter in both cases.

    Raises:
        UserError: if it is not an `expected`, for instance because a checkpoint names another class, or one that does
            not exist.
    """
    if isinstance(given, dict):
        given_class = class_at(given["class_path"])
        if not (isinstance(given_class, type) and issubclass(given_class, expected)):
            raise UserError(f"{given['class_path']} is not a kind of {expected.__name__}")
        return given_class(*args, **{**given.get("init_args", {}), **options})
    built = given if isinstance(given, expected) else given(*args, **options)
    if not isinstance(built, expected):
        raise UserError(f"{given!r} makes a {type(built).__name__}, expected a kind of {expected.__name__}")
    return built


def build_list(given: Any, expected: type[T]) -> list[T]:
    """The objects that `given`, a list of descriptions, a single one or None, describes."""
    if given is None:
        return []
    return [build(item, expected) for item in (given if isinstance(given, (list, tuple)) else [given])]


def describe(given: Any) -> Any:
    """A description of `given` in plain values, from which `build` makes an equal object.

    An object is described by the arguments of its constructor, which it must store under the same names. Learned
    weights are not described; a checkpoint stores them separately.

    Raises:
        UserError: for an object that cannot be described, such as a lambda.
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
            f"{given!r} cannot be stored in a checkpoint: use a class, functools.partial(Class, option=value), "
            'or {"class_path": ..., "init_args": {...}}'
        )
    arguments = {name: describe(getattr(given, name)) for name in names}
    return default(f"{type(given).__module__}.{type(given).__qualname__}", **arguments)


def parameter_names(owner: type) -> list[str]:
    """The options of the constructor; where it takes `**kwargs`, also those of the base class that receives them."""
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
