"""`pip install .` in a fresh environment: what it installs, and that the console script works from an empty folder."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from itertools import pairwise
from pathlib import Path

import pytest

tomllib = pytest.importorskip("tomllib")  # Python 3.11
ROOT = Path(__file__).parents[1]
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "build", "data", "runs", "wandb", "*.egg-info", "tests", "docs")


def run(*command, cwd, **environment):
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": "", "WANDB_MODE": "disabled", **environment},
        capture_output=True,
        text=True,
        check=True,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel of the project as it stands, built without the network."""
    folder = tmp_path_factory.mktemp("wheel")
    source = shutil.copytree(ROOT, folder / "source", ignore=LEFT_OUT)  # setuptools writes beside what it builds
    options = ["--no-build-isolation", "--no-deps", "--no-index", "--disable-pip-version-check"]
    run(sys.executable, "-m", "pip", "wheel", *options, "-w", folder, source, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def script(wheel, tmp_path_factory):
    """The console script in an environment of its own, which sees the libraries of this one."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=folder)
    site_packages = Path(
        run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).stdout.strip()
    )
    (site_packages / "libraries.pth").write_text(sysconfig.get_path("purelib"))
    return folder / "bin" / "lightning-models"


@pytest.mark.full
def test_a_wheel_holds_the_packages_and_the_configs_and_nothing_else(wheel):
    names = {Path(name) for name in zipfile.ZipFile(wheel).namelist()}
    assert {name.parts[0] for name in names if ".dist-info" not in name.parts[0]} == {
        *("lab", "lightning_models", "datamodules")
    }
    packages = [ROOT / name for name in ("lab", "lightning_models", "datamodules")]
    sources = {path.relative_to(ROOT) for package in packages for path in package.rglob("*.py")}
    assert sources <= names
    configs = {path.relative_to(ROOT) for path in (ROOT / "configs").rglob("*") if path.is_file()}
    assert {Path("lab") / path for path in configs} == {name for name in names if name.parts[:2] == ("lab", "configs")}
    assert {path.relative_to(ROOT) for path in (ROOT / "lab" / "report" / "templates").iterdir()} <= names
    assert any(name.name == "LICENSE" for name in names)


@pytest.mark.full
def test_the_console_script_works_from_an_empty_folder(script, tmp_path):
    shown = run(script, "--help", cwd=tmp_path).stdout
    assert shown.startswith("usage: lightning-models COMMAND")
    assert "cli.py" not in shown

    short = ["--trainer.max_steps=4", "--trainer.limit_val_batches=1", "--quiet", "--run_dir=run"]
    fitted = run(script, "fit", "-c", "configs/gan/digits.yaml", *short, cwd=tmp_path).stdout
    assert "lightning-models sample --ckpt_path run/checkpoints/last.ckpt" in fitted
    assert "python cli.py" not in fitted
    located = "import lab; print(lab.__file__)"
    assert str(script.parents[1]) in run(script.with_name("python"), "-c", located, cwd=tmp_path).stdout

    run(script, "report", "run", cwd=tmp_path)
    assert (tmp_path / "run" / "report.html").is_file()

    study = "configs/studies/report3/palindromes.yaml"
    assert "trials" in run(script, "study", study, "--quick", "--dry_run", cwd=tmp_path).stdout
    assert {path.name for path in tmp_path.iterdir()} == {"run"}


def test_capped_requirements_say_why():
    """A cap without a reason beside it would stay for ever."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    capped = {line.partition(">")[0].partition("[")[0] for line in project["dependencies"] if ",<" in line}
    assert capped == {"pytorch-lightning", "jsonargparse", "optuna", "torchmetrics"}
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    for before, line in pairwise(lines):
        if ",<" in line:
            assert "#" in line or before.strip().startswith("#"), line


def test_the_locks_hold_what_pyproject_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {line.partition(">")[0].partition("[")[0] for line in project["dependencies"]}
    for lock in ("requirements.lock", "requirements-lowest.lock"):
        text = (ROOT / lock).read_text()
        pinned = {line.partition("==")[0] for line in text.splitlines() if "==" in line and line[0] not in " #"}
        assert names <= pinned
        assert "://" not in text


def test_the_version_stands_in_two_places_and_is_the_same():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
