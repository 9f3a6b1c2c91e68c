"""Private names of libraries are used in lab/compat/ only, where one file each says why and what pins it."""

import ast
import importlib
from collections.abc import Iterator

import pytest

from tests.import_graph import OURS, ROOT, called, module_name, source_files, text_of

ALWAYS_OVERRIDDEN = {"_abc_impl", "_is_protocol", "_is_runtime_protocol", "_non_callable_proto_members_"}  # by Python

PUBLIC = {"_exit"}  # of os, with a page of its own in Python's documentation


def is_private(name: str) -> bool:
    return name not in PUBLIC and name.startswith("_") and not name.startswith("__") and name.strip("_") != ""


def own_names(trees: list[ast.AST]) -> set[str]:
    """Private names that the project itself gives: to functions, classes and what objects of its own hold."""
    names = set()
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and is_self(node.value):
            names.add(node.attr)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return {name for name in names if is_private(name)}


def is_self(node: ast.expr) -> bool:
    """Whether this is `self`, `cls` or `super()`."""
    if isinstance(node, ast.Call):
        return called(node.func) == "super"
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def private_uses(tree: ast.AST, own: set[str]) -> Iterator[tuple[str, int]]:
    """Private names of others that a file imports or reaches for, and their attributes that it replaces."""
    libraries: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            module = (getattr(node, "module", None) or "") if isinstance(node, ast.ImportFrom) else ""
            if module.partition(".")[0] in OURS:
                continue
            for alias in node.names:
                yield from ((part, node.lineno) for part in f"{module}.{alias.name}".split(".") if is_private(part))
                libraries.add((alias.asname or alias.name).partition(".")[0])
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            if not (is_self(node.value) and node.attr in own):
                yield node.attr, node.lineno
        elif isinstance(node, ast.Call) and called(node.func) in ("getattr", "setattr", "hasattr", "delattr"):
            target, name = node.args[0], text_of(node.args[1])
            if is_private(name) or (called(node.func) in ("setattr", "delattr") and root_of(target) in libraries):
                yield name or ast.unparse(node), node.lineno
        elif isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load) and root_of(node) in libraries:
            yield ast.unparse(node), node.lineno


def root_of(node: ast.expr) -> str:
    """`torch` of torch.nn.Linear."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def test_private_names_of_libraries_are_used_in_compat_only():
    trees = {file: ast.parse((ROOT / file).read_text(encoding="utf-8")) for file in source_files(ROOT)}
    own = own_names(list(trees.values()))
    found = [
        f"{file}:{line}: {name}"
        for file, tree in trees.items()
        if file.parts[:2] != ("lab", "compat")
        for name, line in private_uses(tree, own)
    ]
    assert found == []


def test_no_class_overrides_a_private_name_of_a_library():
    found = []
    for file in source_files(ROOT):
        module = importlib.import_module(module_name(file)) if file.name != "__main__.py" else None
        for owner in vars(module).values() if module else ():
            if (
                not isinstance(owner, type)
                or owner.__module__ != module_name(file)
                or file.parts[:2] == ("lab", "compat")
            ):
                continue
            theirs = [base for base in owner.__mro__ if base.__module__.partition(".")[0] not in OURS]
            names = {name for name in vars(owner) if is_private(name) and name not in ALWAYS_OVERRIDDEN}
            found += [
                f"{file}: {owner.__name__}.{name}" for name in names if any(name in vars(base) for base in theirs)
            ]
    assert found == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from torch.nn.modules.batchnorm import _BatchNorm", "_BatchNorm"),
        ("import jsonargparse._typehints", "_typehints"),
        ("import jsonargparse._typehints as hints", "_typehints"),
        ("from jsonargparse._core import ArgumentParser", "_core"),
        ("trainer._signal_connector.received = True", "_signal_connector"),
        ("self._parser('fit')", "_parser"),
        ("super()._run_subcommand('fit')", "_run_subcommand"),
        ("getattr(optimizer, '_step_supports_amp_scaling', False)", "_step_supports_amp_scaling"),
        ("other._mine", "_mine"),  # of an object that may be anybody's
        ("from pytorch_lightning import Trainer\nTrainer.fit = None", "Trainer.fit"),
        ("import torch\ntorch.load = None", "torch.load"),
        ("import torch\nsetattr(torch, 'load', None)", "load"),
    ],
)
def test_a_private_name_is_found(source, found):
    assert [name for name, _ in private_uses(ast.parse(source), {"_mine"})] == [found]


@pytest.mark.parametrize(
    "source",
    [
        "self._mine",
        "cls._mine()",
        "super()._mine()",
        "from __future__ import annotations",
        "from lab.report.page import _own",
        "type(self).__name__",
        "_ = 1\nfor _, value in pairs: print(value)",
        "trainer.limit = 1",
        "getattr(self, name)",
        "import numpy as np\nnp.random.seed(0)",
    ],
)
def test_what_is_public_or_our_own_is_not_found(source):
    assert list(private_uses(ast.parse(source), {"_mine"})) == []


def test_own_private_names_are_those_defined_or_stored_on_self():
    source = "class A:\n    def _a(self):\n        self._b = other._c = 1\n        self._d()"
    assert own_names([ast.parse(source)]) == {"_a", "_b"}
