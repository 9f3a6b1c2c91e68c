"""Packages that are imported late: what runs when, and that nothing is missing afterwards."""

import importlib
import subprocess
import sys

import pytest

from lab.compat import late_packages
from lab.compat.late_packages import LateFinder, LatePackage


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package `late_one` of two modules, whose `__init__` imports one of them; it is forgotten afterwards."""
    folder = tmp_path / "late_one"
    folder.mkdir()
    (folder / "__init__.py").write_text("from late_one.second import BOTH\nEVERYTHING = 1\n")
    (folder / "first.py").write_text("NAME = 'first'\n")
    (folder / "second.py").write_text("from late_one import first\nBOTH = first.NAME + ' and second'\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", [LateFinder(), *sys.meta_path])
    yield "late_one"
    for name in [name for name in sys.modules if name.partition(".")[0] == "late_one"]:
        del sys.modules[name]


def test_a_module_of_a_late_package_is_imported_alone(package, monkeypatch):
    monkeypatch.setattr(late_packages, "LATE", (package,))
    assert importlib.import_module("late_one.first").NAME == "first"
    assert isinstance(sys.modules["late_one"], LatePackage)
    assert "late_one.second" not in sys.modules


def test_whatever_else_is_asked_of_a_late_package_runs_its_init(package, monkeypatch):
    monkeypatch.setattr(late_packages, "LATE", (package,))
    late = importlib.import_module(package)
    assert late.EVERYTHING == 1
    assert late.BOTH == "first and second"
    assert type(late) is type(sys)
    with pytest.raises(AttributeError):
        _ = late.MISSING


def test_a_known_name_comes_from_its_module(package, monkeypatch):
    monkeypatch.setattr(late_packages, "LATE", (package,))
    monkeypatch.setitem(late_packages.KNOWN, package, {"NAME": "late_one.first", "MADE": lambda: 3})
    late = importlib.import_module(package)
    assert (late.NAME, late.MADE) == ("first", 3)
    assert isinstance(late, LatePackage)


def test_a_module_of_the_compiler_runs_its_init_first_and_is_made_once(package, monkeypatch):
    monkeypatch.setattr(late_packages, "COMPILER", package)
    importlib.import_module(package)
    second = importlib.import_module("late_one.second")
    assert second.BOTH == "first and second"
    assert sys.modules["late_one"].BOTH is second.BOTH
    assert sys.modules["late_one.second"] is second
    assert second.__spec__.origin.endswith("second.py")


def test_a_package_that_is_not_listed_is_none_of_its_business(package):
    assert importlib.import_module(package).EVERYTHING == 1
    assert not isinstance(sys.modules[package], LatePackage)


def test_a_hidden_function_is_hidden_from_the_compiler_once_there_is_one(monkeypatch):
    calls = []

    class Compiler:
        @staticmethod
        def disable(function, recursive):
            calls.append((function, recursive))
            return lambda value: function(value) + 100

    monkeypatch.setattr(late_packages, "COMPILER", "late_compiler")

    @late_packages.disable(recursive=False)
    def plus_one(value):
        return value + 1

    assert plus_one(1) == 2
    monkeypatch.setitem(sys.modules, "late_compiler", Compiler)
    monkeypatch.setitem(sys.modules, "late_compiler.eval_frame", Compiler)
    assert [plus_one(1), plus_one(2)] == [102, 103]
    assert [recursive for _, recursive in calls] == [False]


SCRIPT = """
import sys
from lab.compat.late_packages import import_packages_late
import_packages_late()
import lab.training.running, torch
network = torch.nn.Linear(2, 1)
optimizer = torch.optim.Adam(network.parameters())
network(torch.ones(1, 2)).sum().backward()
optimizer.step()
optimizer.zero_grad()
heavy = {"torch._dynamo.eval_frame", "torchvision.models", "scipy.signal", "matplotlib", "wandb", "sympy", "optuna"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
from lightning_fabric.wrappers import OptimizedModule
assert not isinstance(network, OptimizedModule)

import torchmetrics, torchvision
assert torchmetrics.Accuracy(task="binary")(torch.ones(2), torch.ones(2)) == 1
assert torchmetrics.functional.accuracy and torchmetrics.retrieval and torchvision.models.resnet18
from torchmetrics.classification import MulticlassConfusionMatrix
matrix = MulticlassConfusionMatrix(2)
matrix.update(torch.tensor([0, 1]), torch.tensor([0, 1]))
assert matrix.plot()
compiled = torch.compile(network, backend="eager")
assert torch.equal(compiled(torch.ones(1, 2)), network(torch.ones(1, 2)))
assert isinstance(compiled, OptimizedModule) and not isinstance(network, OptimizedModule)
assert torch._dynamo.is_compiling() is False
optimizer.zero_grad()
"""


@pytest.mark.full
def test_the_real_packages_are_late_and_complete():
    subprocess.run([sys.executable, "-c", SCRIPT], check=True)
