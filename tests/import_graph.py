"""The project's imports, read from its source, and the direction in which they may run.

Imports inside functions, importlib calls and class paths in strings count as well.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
SOURCES = ("cli.py", "lab", "lightning_models", "datamodules", "benchmarks")
OURS = tuple(source.removesuffix(".py") for source in SOURCES)

# From the top down: a folder may import from every line below its own, and from itself. Folders of one line are beside
# each other and import nothing of each other. A module belongs to the longest of these names that its own begins with.
LAYERS = (
    ("cli", "benchmarks"),
    ("lab.main",),
    ("lab.commands",),
    ("lab.studies", "lab.report"),
    ("lab.training",),
    ("lab.claims",),
    ("lightning_models.callbacks",),
    ("lightning_models.feature_extractors",),
    ("lightning_models",),  # the families
    ("lightning_models.losses", "lightning_models.networks"),
    ("lightning_models.modules",),
    ("lightning_models.metrics", "lightning_models.drawing", "lightning_models.tracking"),
    ("datamodules",),
    ("lab.outcome", "lab.shipped", "lab.program", "lab.stops", "lab.threads", "lab.yaml_files"),
    ("lab.errors", "lab.files", "lab.compat"),
)
CLASS_PATH = re.compile(rf"({'|'.join(OURS)})(\.\w+)+")
NOT_IMPORTED = (Path("lab/compat/moved.py"),)  # its class paths are a table that nobody imports from there
LEVEL = {folder: len(LAYERS) - number for number, layer in enumerate(LAYERS) for folder in layer}


class Import(NamedTuple):
    """That `importer` imports `imported`, both modules, in a line of a file."""

    importer: str
    imported: str
    file: Path
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.importer} imports {self.imported}"


def source_files(root: Path) -> list[Path]:
    """The Python files of the project, relative to `root`."""
    files = [file for source in SOURCES for file in [root / source, *(root / source).rglob("*.py")] if file.is_file()]
    return sorted(file.relative_to(root) for file in files)


def module_name(file: Path) -> str:
    """`lab.report` for lab/report/__init__.py."""
    parts = file.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(root: Path) -> list[Import]:
    """Every import of this project's modules by this project's modules."""
    files = source_files(root)
    modules = {module_name(file) for file in files}
    found = []
    for file in files:
        if file in NOT_IMPORTED:
            continue
        importer = module_name(file)
        package = importer if file.name == "__init__.py" else importer.rpartition(".")[0]
        for name, line in imported_names(ast.parse((root / file).read_text(encoding="utf-8")), package):
            if (imported := longest_known(name, modules)) is not None and imported != importer:
                found.append(Import(importer, imported, file, line))
    return list(dict.fromkeys(found))  # one of each line


def longest_known(name: str, modules: set[str]) -> str | None:
    """The module that `name` lies in: `lab.errors` for `lab.errors.UserError`; None if it is not ours."""
    if name.partition(".")[0] not in OURS:
        return None
    while name not in modules:
        name, _, _ = name.rpartition(".")
        if not name:
            return None
    return name


def imported_names(tree: ast.AST, package: str) -> Iterator[tuple[str, int]]:
    """Full names that a file imports, wherever and however, each with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((f"{base}.{alias.name}", node.lineno) for alias in node.names)
        elif isinstance(node, ast.Call) and called(node.func) in ("import_module", "find_spec", "__import__"):
            if node.args and (path := text_of(node.args[0])):
                yield path, node.lineno
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and CLASS_PATH.fullmatch(node.value):
            yield node.value, node.lineno


def called(function: ast.expr) -> str:
    """The last word of what is called: import_module for importlib.import_module."""
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def text_of(argument: ast.expr) -> str:
    """A string's value, or the beginning of an f-string up to its first hole, without the dot before it."""
    if isinstance(argument, ast.JoinedStr) and argument.values:
        argument = argument.values[0]
    return argument.value.rstrip(".") if isinstance(argument, ast.Constant) and isinstance(argument.value, str) else ""


def folder_of(module: str) -> str:
    """The folder of LAYERS that a module belongs to; empty for `lab` itself, which holds nothing."""
    while module and module not in LEVEL:
        module, _, _ = module.rpartition(".")
    return module


def against_the_direction(imports: list[Import]) -> list[str]:
    """The imports of a folder that is above or beside the importing one."""
    wrong = []
    for one in imports:
        importer, imported = folder_of(one.importer), folder_of(one.imported)
        if importer != imported and LEVEL.get(imported, 0) >= LEVEL.get(importer, 0):
            wrong.append(str(one))
    return wrong


def circle(imports: list[Import]) -> list[Import]:
    """Imports that lead from a module back to itself; empty if there are none."""
    following: dict[str, list[Import]] = {}
    for one in imports:
        following.setdefault(one.importer, []).append(one)
    finished: set[str] = set()

    def search(module: str, path: list[Import]) -> list[Import]:
        for one in following.get(module, []):
            visited = [step.importer for step in path]
            if one.imported == module or one.imported in visited:
                start = visited.index(one.imported) if one.imported in visited else len(path)
                return [*path[start:], one]
            if one.imported not in finished and (found := search(one.imported, [*path, one])):
                return found
        finished.add(module)
        return []

    for module in following:
        if module not in finished and (found := search(module, [])):
            return found
    return []


def between_folders(imports: list[Import], root: Path) -> list[Import]:
    """The same imports, but of folders by folders; one inside a folder is left out."""

    def folder(module: str) -> str:
        package = module if (root / module.replace(".", "/")).is_dir() else module.rpartition(".")[0]
        return max(package, folder_of(module), key=len)

    pairs = [one._replace(importer=folder(one.importer), imported=folder(one.imported)) for one in imports]
    return [one for one in pairs if one.importer != one.imported]


def reached(imports: list[Import], start: str) -> set[str]:
    """All modules that the modules of the folder `start` import, directly or through others."""
    modules = {one.importer for one in imports if f"{one.importer}.".startswith(f"{start}.")}
    while new := {one.imported for one in imports if one.importer in modules} - modules:
        modules |= new
    return modules


def arrows(imports: list[Import]) -> list[str]:
    """The imports between folders as lines of a Mermaid graph, without arrows that follow from others.

    The last two lines of LAYERS, which everything may import, are left out.
    """
    everywhere = {folder for layer in LAYERS[-2:] for folder in layer}
    pairs = [(folder_of(one.importer), folder_of(one.imported)) for one in imports]
    found: dict[str, set[str]] = {}
    for importer, imported in pairs:
        if importer != imported and not {importer, imported} & {*everywhere, ""}:
            found.setdefault(importer, set()).add(imported)

    def below(folder: str) -> set[str]:
        return set().union(*({one} | below(one) for one in found.get(folder, ())))

    lines = []
    for importer in sorted(found, key=lambda folder: -LEVEL[folder]):
        follows = set().union(*(below(imported) for imported in found[importer]))
        lines += [f"    {importer} --> {imported}" for imported in sorted(found[importer] - follows)]
    return lines
