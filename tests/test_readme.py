"""The commands of the README run, on a small run in place of the reader's; test_docs.py parses them all."""

import re
import shlex
from pathlib import Path

import pytest

import cli
from tests import tiny_runs

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    shlex.split(line.removeprefix("python cli.py "), comments=True)
    for line in re.findall(r"^python cli\.py .+$", README, flags=re.MULTILINE)
]


def test_its_two_commands_are_targets_of_the_makefile():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = set(
        re.findall(
            r"(?:^|`)make ([a-z-]+)", README + (ROOT / "docs" / "usage.md").read_text(encoding="utf-8"), flags=re.M
        )
    )
    assert {"demo", "test"} <= named
    assert not named - targets


def test_what_it_says_to_do_with_a_run_can_be_done(gan_run, in_tmp_path):
    run = tiny_runs.copied(gan_run, in_tmp_path / "RUN")
    done = []
    for command, *options in COMMANDS:
        if command == "sample":
            cli.main([command, *options])
            done.append(command)
        elif command == "report":
            cli.main([command, "RUN"])
            done.append(command)
    assert done == ["sample", "report"]
    assert Path("grid.png").is_file()
    assert (run / "report.html").is_file()


def test_the_message_that_it_shows_is_the_one_that_is_printed(capsys):
    shown = re.search(r"error: there is no option .*", README)
    with pytest.raises(SystemExit) as stopped:
        cli.main(["fit", "-c", str(ROOT / "configs/gan/digits.yaml"), "--model.latent_dimm", "3"])
    assert stopped.value.code == 2
    assert shown is not None
    assert shown[0] in capsys.readouterr().err
