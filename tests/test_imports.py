"""Imports run one way, without circles, and what has to start at once imports nothing heavy."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.import_graph import (
    ROOT,
    Import,
    against_the_direction,
    arrows,
    between_folders,
    circle,
    folder_of,
    imports_of,
    module_name,
    reached,
    source_files,
)


@pytest.fixture(scope="module")
def imports() -> list[Import]:
    return imports_of(ROOT)


def test_imports_run_one_way(imports):
    assert against_the_direction(imports) == []


def test_no_file_imports_itself_through_others(imports):
    assert [str(one) for one in circle(imports)] == []


def test_no_folder_imports_itself_through_others(imports):
    assert [str(one) for one in circle(between_folders(imports, ROOT))] == []


def test_every_folder_has_its_place():
    packages = {module_name(file) for file in source_files(ROOT) if file.name == "__init__.py"}
    divided = ("datamodules.", "benchmarks.")
    placed = {package for package in packages if folder_of(package) == package or package.startswith(divided)}
    assert packages - placed == {"lab"}


def test_the_graph_in_the_docs_is_that_of_the_code(imports):
    page = (ROOT / "docs" / "DESIGN.md").read_text(encoding="utf-8")
    graph = page.partition("```mermaid\ngraph TD\n")[2].partition("\n```")[0]
    assert graph.splitlines() == arrows(imports)


def test_arrows_that_follow_from_others_are_not_drawn(tmp_path):
    files = {
        "lab/commands/fit.py": "import lab.studies.engine, lab.training.cli, lab.errors, lab.commands.parser",
        "lab/commands/parser.py": "",
        "lab/studies/engine.py": "import lab.training.cli",
        "lab/training/cli.py": "",
        "lab/errors.py": "",
    }
    assert arrows(project(tmp_path, files)) == ["    lab.commands --> lab.studies", "    lab.studies --> lab.training"]


def test_models_and_data_do_not_know_each_other(imports):
    """LAYERS alone would let models import data."""
    found = [str(one) for one in imports if one.importer.startswith("lightning_models")]
    assert [line for line in found if "imports datamodules" in line] == []


def test_at_the_top_of_lightning_models_are_the_families():
    """Whatever else stood there would count as a family and could import nearly everything."""
    found = {path.stem for path in (ROOT / "lightning_models").glob("*.py")}
    assert found == {
        *("__init__", "gan", "gan_variants", "vae"),
        *("image_classifier", "sequence_classifier", "language_model"),
    }


def test_a_report_needs_neither_models_nor_the_studies_engine(imports):
    modules = reached(imports, "lab.report")
    assert "lab.report.page" in modules
    assert {module for module in modules if module.startswith(("lab.studies", "lab.training"))} == set()


def project(root: Path, files: dict[str, str]) -> list[Import]:
    """The imports of a made-up project of these files."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return imports_of(root)


@pytest.mark.parametrize(
    ("importer", "statement", "imported"),
    [
        ("lab/report/page.py", "import lab.studies.engine", "lab/studies/engine.py"),
        ("lab/studies/engine.py", "from lab import commands", "lab/commands/__init__.py"),
        ("lab/studies/engine.py", "from ..commands import study", "lab/commands/study.py"),
        ("lab/training/cli.py", "def late():\n    from lab.studies.engine import work", "lab/studies/engine.py"),
        ("lab/errors.py", "import lab.compat.moved", "lab/compat/moved.py"),
        ("lab/compat/seam.py", "from lab.errors import UserError", "lab/errors.py"),
        ("datamodules/text/corpus.py", "import lightning_models.tracking", "lightning_models/tracking.py"),
        ("datamodules/a.py", "import_module('lightning_models.gan')", "lightning_models/gan.py"),
        ("lightning_models/gan.py", "importlib.import_module(f'lab.training.{name}')", "lab/training/__init__.py"),
        ("lightning_models/losses/a.py", "default('lightning_models.gan.GAN', n=1)", "lightning_models/gan.py"),
        ("lightning_models/metrics/a.py", "{'class_path': 'lightning_models.vae.VAE'}", "lightning_models/vae.py"),
        ("lightning_models/networks/a.py", "import lightning_models.losses", "lightning_models/losses/__init__.py"),
        ("lab/commands/fit.py", "import lab.main", "lab/main.py"),
        ("lab/main.py", "import cli", "cli.py"),
        ("lab/commands/fit.py", "from benchmarks.turns import compare", "benchmarks/turns.py"),
    ],
)  # fmt: skip
def test_an_arrow_against_the_direction_is_reported_with_its_line(tmp_path, importer, statement, imported):
    imports = project(tmp_path, {imported: "", importer: f"# first line\n{statement}\n"})
    line = 2 + statement.count("\n")
    expected = f"{importer}:{line}: {module_name(Path(importer))} imports {module_name(Path(imported))}"
    assert against_the_direction(imports) == [expected]


def test_arrows_in_the_direction_are_not_reported(tmp_path):
    files = {
        "cli.py": "from lab.main import main",
        "lab/main.py": "import lab.commands.fit",
        "lab/commands/fit.py": "import torch, lab.studies.engine, lab.report.page",
        "lab/studies/engine.py": "from lightning_models.callbacks import alarms",
        "lab/report/page.py": "from lab.errors import UserError\nimport lightning_models.metrics",
        "lab/errors.py": "",
        "lightning_models/callbacks/alarms.py": "from lightning_models.gan import GAN",
        "lightning_models/metrics/__init__.py": "",
        "lightning_models/gan.py": "'a sentence about lightning_models.callbacks.alarms'",
    }
    imports = project(tmp_path, files)
    assert len(imports) == 8
    assert against_the_direction(imports) == []
    assert circle(imports) == []


def test_a_circle_of_files_is_reported(tmp_path):
    files = {
        "lab/studies/start.py": "import lab.studies.first",
        "lab/studies/first.py": "def late():\n    import lab.studies.second",
        "lab/studies/second.py": "\nfrom lab.studies.first import name",
    }
    assert [str(one) for one in circle(project(tmp_path, files))] == [
        "lab/studies/first.py:2: lab.studies.first imports lab.studies.second",
        "lab/studies/second.py:2: lab.studies.second imports lab.studies.first",
    ]


def test_a_circle_of_folders_without_one_of_files_is_reported(tmp_path):
    files = {
        "datamodules/images/a.py": "import datamodules.text.b",
        "datamodules/images/c.py": "",
        "datamodules/text/b.py": "",
        "datamodules/text/d.py": "import datamodules.images.c",
    }
    imports = project(tmp_path, files)
    assert circle(imports) == []
    assert [one.file.as_posix() for one in circle(between_folders(imports, tmp_path))] == [
        "datamodules/images/a.py",
        "datamodules/text/d.py",
    ]


@pytest.mark.parametrize("late", ["", "def late():\n    "])
def test_what_a_report_reaches_through_others_counts(tmp_path, late):
    files = {
        "lab/report/page.py": f"{late}import lab.files",
        "lab/files.py": "from lab.training import cli",
        "lab/training/cli.py": "",
        "lab/studies/engine.py": "import lab.report.page",
    }
    assert reached(project(tmp_path, files), "lab.report") == {"lab.report.page", "lab.files", "lab.training.cli"}


HEAVY = ("torch", "pytorch_lightning", "torchmetrics", "torchvision", "optuna", "wandb", "sklearn", "faker")


@pytest.mark.parametrize(
    "statement",
    [
        "import cli\ntry: cli.main(['--help'])\nexcept SystemExit: pass",
        "import cli\ntry: cli.main(['fitt'])\nexcept SystemExit: pass",
        "import pkgutil, importlib, lab.report\n"
        "[importlib.import_module(f'lab.report.{m.name}') for m in pkgutil.iter_modules(lab.report.__path__)]",
    ],
    ids=["help", "unknown command", "report"],
)
def test_what_has_to_start_at_once_imports_nothing_heavy(statement):
    script = f"{statement}\nimport sys\nsys.stderr.write('heavy: ' + ' '.join(m for m in {HEAVY} if m in sys.modules))"
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stderr.rpartition("heavy: ")[1:] == ("heavy: ", "")
