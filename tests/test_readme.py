"""The commands of the README are understood as they stand."""

import re
import shlex
from pathlib import Path

import pytest

from lab.compat.class_changes import keep_only_what_was_set
from lab.training.cli import ProjectCLI

ROOT = Path(__file__).parents[1]
BLOCKS = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
FITS = [
    line.removeprefix("python cli.py ").partition("  #")[0].strip()
    for block in BLOCKS
    for line in block.splitlines()
    if line.startswith("python cli.py fit") and "RUN/" not in line and ".help" not in line
]


def test_there_are_some():
    assert len(FITS) >= 6


@pytest.mark.parametrize("command", FITS)
def test_a_fit_of_the_readme(command, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    keep_only_what_was_set()
    with pytest.raises(SystemExit) as stopped:
        ProjectCLI([*shlex.split(command), "--print_config"])
    assert stopped.value.code == 0
    assert "class_path" in capsys.readouterr().out
