import subprocess
from pathlib import Path

import pytest

from lab import shipped
from lab.shipped import find_config, shipped_configs

ROOT = Path(__file__).parents[2]
DIGITS = ROOT / "configs" / "gan" / "digits.yaml"


def test_a_shipped_config_is_found_from_another_folder(in_tmp_path):
    assert find_config("configs/gan/digits.yaml") == DIGITS
    assert find_config(Path("configs") / "gan" / "digits.yaml") == DIGITS


def test_the_users_own_file_comes_first(in_tmp_path):
    own = Path("configs/gan/digits.yaml")
    own.parent.mkdir(parents=True)
    own.touch()
    assert find_config("configs/gan/digits.yaml") == own


@pytest.mark.parametrize(
    "path", ["configs/gan/digit.yaml", "gan/digits.yaml", "digits.yaml", "configs/gan", "configs", ""]
)
def test_any_other_path_stays_as_it_is(in_tmp_path, path):
    assert find_config(path) == Path(path)


def test_an_absolute_path_stays_as_it_is(in_tmp_path):
    assert find_config("/configs/gan/digits.yaml") == Path("/configs/gan/digits.yaml")


def test_an_installed_package_has_its_own_configs_and_looks_nowhere_else(in_tmp_path, monkeypatch):
    package, neighbour = in_tmp_path / "site-packages" / "lab", in_tmp_path / "site-packages" / "configs"
    for folder in (package / "configs", neighbour):
        folder.mkdir(parents=True)
    (package / "configs" / "a.yaml").touch()
    (neighbour / "b.yaml").touch()
    monkeypatch.setattr(shipped, "PACKAGE", package)
    assert shipped_configs() == package / "configs"
    assert find_config("configs/a.yaml") == package / "configs" / "a.yaml"
    assert find_config("configs/b.yaml") == Path("configs/b.yaml")


def test_the_commit_is_that_of_the_checkout_and_changed_files_show(tmp_path, monkeypatch):
    package = tmp_path / "lab"
    package.mkdir()
    (package / "code.py").write_text("1")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *command], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout
    monkeypatch.setattr(shipped, "PACKAGE", package)
    shipped.commit.cache_clear()
    assert shipped.commit() == head[:12]
    (package / "code.py").write_text("2")
    shipped.commit.cache_clear()
    assert shipped.commit() == f"{head[:12]}-dirty"
    shipped.commit.cache_clear()


def test_an_installed_package_has_no_commit(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "PACKAGE", tmp_path / "site-packages" / "lab")
    shipped.commit.cache_clear()
    assert shipped.commit() is None
    shipped.commit.cache_clear()
