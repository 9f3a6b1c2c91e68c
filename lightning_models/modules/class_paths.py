"""Classes by their paths, and which modules a checkpoint may have imported.

A checkpoint is a file that others may have written. What it names is imported only if it is of this project, if the
user has named its package (on the command line, in a config, in the run's config.yaml, with `--allow`), or if it is
imported already. A path that the user gives is imported as it is.
"""

import difflib
import importlib
import pkgutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from lab.compat.moved import current_path
from lab.errors import UserError

CLASS = "class_path"
OURS = ("lightning_models", "datamodules")
HYPERPARAMETERS = ("hyper_parameters", "hparams", "module_arguments")  # what Lightning builds a module from
_allowed: list[str] = []


@contextmanager
def allowed(packages: Iterable[str]) -> Iterator[None]:
    """Inside, checkpoints may name classes of these packages, too: `my_pkg` allows `my_pkg.networks.MyGenerator`."""
    count = len(_allowed)
    _allowed.extend(packages)
    try:
        yield
    finally:
        del _allowed[count:]


def check_checkpoint_names(checkpoint: dict[str, Any], path: Any) -> None:
    """Raise a UserError if building the module of a checkpoint would import a module that nobody has named."""
    for key in HYPERPARAMETERS:
        hyperparameters = checkpoint.get(key) or {}
        if "_instantiator" in hyperparameters:
            raise UserError(f"{path} names a function that is to build its model, which is not done")
        for class_path in class_paths_in(hyperparameters):
            check_allowed(class_path, path)
    if isinstance(checkpoint.get("model_class"), str):
        check_allowed(checkpoint["model_class"], path)


def check_allowed(class_path: str, path: Any) -> None:
    """Raise a UserError unless the checkpoint `path` may have the module of this class imported."""
    module = current_path(class_path).rpartition(".")[0]
    package = module.partition(".")[0]
    if module and package not in (*OURS, *_allowed) and module not in sys.modules:
        raise UserError(
            f"{path} names {class_path}, which is no class of this project, and nothing was imported for it: if you "
            f"trust {package}, add --allow {package} (in Python: import {module} before)"
        )


def class_paths_in(value: Any) -> Iterator[str]:
    """Every class path in the options of a checkpoint or of a config file."""
    if isinstance(value, dict):
        if CLASS in value:
            yield str(value[CLASS])
        for item in value.values():
            yield from class_paths_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from class_paths_in(item)


def packages_in(value: Any) -> set[str]:
    """The packages of every class path in the options of a config file."""
    return {class_path.partition(".")[0] for class_path in class_paths_in(value)}


def class_at(class_path: str) -> Any:
    """What a full class path names; its module is imported.

    Raises:
        UserError: if there is no such module or class; it names the nearest one.
    """
    module_name, _, name = current_path(class_path).rpartition(".")
    module = module_at(module_name)
    if module is None:
        raise UserError(no_such_module(class_path))
    if not hasattr(module, name):
        raise UserError(f"there is no {name} in the module {module_name}{nearest(name, vars(module))}")
    return getattr(module, name)


def module_at(name: str) -> Any:
    """The module of that name; None if there is none.

    Raises:
        UserError: if it is there and cannot be imported.
    """
    try:
        return importlib.import_module(name) if name else None
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            return None
        raise UserError(f"the module {name} cannot be imported: it imports {error.name}, which is missing") from error
    except Exception as error:
        raise UserError(f"the module {name} cannot be imported: {type(error).__name__}: {error}") from error


def no_such_module(class_path: str) -> str:
    """That there is no module of a class path, with the nearest name beside the first one that is missing."""
    *parents, name = current_path(class_path).split(".")
    if not parents:
        return f"{class_path} is no class path: give one such as my_package.{name or 'MyClass'}"
    beside: Any = None  # folders of the modules that there are; None: those of the Python path
    for number, parent in enumerate(parents, 1):
        module = module_at(".".join(parents[:number]))
        if module is None:
            siblings = [found.name for found in pkgutil.iter_modules(beside)]
            hint = nearest(parent, siblings)
            return f"there is no module {'.'.join(parents[:number])}{hint}; is its folder on the Python path?"
        beside = getattr(module, "__path__", [])
    return f"there is no {name} in the module {'.'.join(parents)}"


def nearest(name: Any, names: Iterable[str]) -> str:
    """`; did you mean A or B?`, or nothing; YAML has names that are numbers, too."""
    by_lower = {known.lower(): known for known in names}
    close = difflib.get_close_matches(str(name).lower(), by_lower, n=2, cutoff=0.6)
    return f"; did you mean {' or '.join(by_lower[c] for c in close)}?" if close else ""
