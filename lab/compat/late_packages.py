"""Packages whose `__init__` runs only when something of it is asked for.

What: `import torchmetrics.metric` runs metric.py and not the `__init__` of torchmetrics, which imports every metric
there is and, for some of them, scipy.signal and torchvision. The same for the other packages in `LATE`. What else is
asked of such a package, such as `torchmetrics.Accuracy`, runs its `__init__` first, as always. torch._dynamo, the
compiler, is imported by Lightning for one class and by every optimizer for a function that hides it from the compiler;
both work without it as long as nothing else has imported it. What torchmetrics draws with imports matplotlib.
Why: pytorch_lightning needs two classes of torchmetrics, and W&B one of its launcher; all the rest is half of the time
from a command to its first batch. None of these packages has a public way to import less.
Checked on: torch 2.15, torchmetrics 1.9, torchvision 0.29, wandb 0.31.
Test: tests/lab/compat/test_late_packages.py
"""

import importlib
import logging
import sys
from collections.abc import Callable, Sequence
from functools import partial, wraps
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

COMPILER = "torch._dynamo"  # its modules need one another in a certain order: the first one runs the __init__
DRAWING = "torchmetrics.utilities.plot"  # a module: what others import of it is used when something is drawn
LATE = ("torchmetrics", "torchvision", "wandb.sdk.launch")  # with all packages in them


class MeansCompiled(type):
    """Without the compiler nothing is compiled."""

    def __instancecheck__(cls, thing: Any) -> bool:
        compiler = sys.modules.get(f"{COMPILER}.eval_frame")
        return compiler is not None and isinstance(thing, compiler.OptimizedModule)


class Compiled(metaclass=MeansCompiled):
    """Stands for torch._dynamo.OptimizedModule, which is only asked whether something is one."""


def disable(function: Callable[..., Any] | None = None, recursive: bool = True, **options: Any) -> Any:
    """torch._dynamo.disable, which imports the compiler only if something else has."""
    if function is None:
        return partial(disable, recursive=recursive, **options)
    hidden: list[Callable[..., Any]] = []

    @wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        if f"{COMPILER}.eval_frame" not in sys.modules:
            return function(*args, **kwargs)
        if not hidden:
            hidden.append(importlib.import_module(COMPILER).disable(function, recursive, **options))
        return hidden[0](*args, **kwargs)

    return called


def graph_break(msg: str = "") -> None:
    """Stands for torch._dynamo.graph_break, which every optimizer calls: there is no graph yet."""


def later(name: str) -> Callable[..., Any]:
    """A function of the module that draws, which is looked up when it is called."""
    return lambda *args, **kwargs: getattr(run_init(sys.modules[DRAWING]), name)(*args, **kwargs)


# What can be had without the `__init__`: the module that defines it, or a way to make it.
KNOWN: dict[str, dict[str, str | Callable[[], Any]]] = {
    "torchmetrics": {
        "__version__": "torchmetrics.__about__",
        "_logger": lambda: logging.getLogger("torchmetrics"),
        "Metric": "torchmetrics.metric",
        "MetricCollection": "torchmetrics.collections",
        "MeanMetric": "torchmetrics.aggregation",
    },
    "torchmetrics.utilities": {"rank_zero_warn": "torchmetrics.utilities.prints"},
    DRAWING: {
        **{f"_{kind}_TYPE": lambda: Any for kind in ("AX", "CMAP", "PLOT_OUT")},
        **{f"plot_{what}": partial(later, f"plot_{what}") for what in ("single_or_multi_val", "confusion_matrix")},
    },
    COMPILER: {"OptimizedModule": lambda: Compiled, "disable": lambda: disable, "graph_break": lambda: graph_break},
}


class LatePackage(ModuleType):
    """A package that has its place and its submodules, and everything else as soon as it is asked for."""

    def __getattr__(self, name: str) -> Any:
        if name == "__path__":  # the import system asks a module whether it is a package
            raise AttributeError(name)
        source = KNOWN.get(self.__name__, {}).get(name)
        if source is None:
            return getattr(run_init(self), name)
        return getattr(importlib.import_module(source), name) if isinstance(source, str) else source()


def run_init(package: ModuleType) -> ModuleType:
    """Make it the package that it always was, unless it is one already."""
    if isinstance(package, LatePackage):
        package.__class__ = ModuleType  # type: ignore[assignment]
        assert package.__spec__ is not None
        assert isinstance(package.__spec__.loader, LateLoader)
        package.__spec__.loader.found.exec_module(package)
    return package


class LateLoader(Loader):
    """Makes a `LatePackage`, and leaves it to that to run what was found."""

    def __init__(self, found: Loader) -> None:
        self.found = found

    def create_module(self, spec: ModuleSpec) -> None:
        """One of the usual kind."""

    def exec_module(self, module: ModuleType) -> None:
        module.__class__ = LatePackage

    def __getattr__(self, name: str) -> Any:
        """Sources and data files are read as always."""
        return getattr(self.found, name)


class AlreadyThere(Loader):
    """Gives a module that its package has imported in the meantime."""

    def __init__(self, module: ModuleType) -> None:
        self.module, self.spec = module, module.__spec__
        module.__spec__ = None  # otherwise the import system would follow it and run the module again

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.spec


class LateFinder(MetaPathFinder):
    """Finds the packages in `LATE` and the compiler, and leaves all others and all modules to the finders behind it."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name.startswith(f"{COMPILER}.") and isinstance(compiler := sys.modules[COMPILER], LatePackage):
            run_init(compiler)
            return ModuleSpec(name, AlreadyThere(sys.modules[name])) if name in sys.modules else None
        if name != COMPILER and not any(name == late or name.startswith(f"{late}.") for late in LATE):
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None and (spec.submodule_search_locations or name == DRAWING):
            spec.loader = LateLoader(spec.loader)
        return spec


def import_packages_late() -> None:
    """From now on; what has been imported stays as it is."""
    if not any(isinstance(finder, LateFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, LateFinder())
