"""A user's mistake ends in one message and status 2, a bug in its traceback; either way the traceback is stored."""

import errno
from pathlib import Path

import pytest

import cli
from lab.errors import UserError
from lab.outcome import ERROR_FILE, explained, write_traceback
from lightning_models.image_classifier import ImageClassifier

SMALL = ["fit", "-c", "configs/classifier/digits.yaml", "--quiet", "--trainer.max_steps", "2"]


def test_a_users_mistake_is_one_message(capsys):
    with pytest.raises(SystemExit) as stopped, explained():
        raise UserError("there is no such thing: use another")
    assert stopped.value.code == 2
    assert capsys.readouterr().err == "error: there is no such thing: use another\n"


def test_the_traceback_of_a_mistake_is_printed_when_asked_for(capsys):
    with pytest.raises(SystemExit, match=r"^2$"), explained(show_traceback=True):
        raise UserError("wrong")
    printed = capsys.readouterr().err
    assert printed.startswith("Traceback (most recent call last):")
    assert printed.endswith("error: wrong\n")


def test_a_value_error_of_our_own_code_is_a_bug():
    with pytest.raises(ValueError, match="three"), explained():
        raise ValueError("three")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.EROFS, "Read-only file system", "runs/a"), "runs/a: Read-only file system"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (OSError(errno.ENOSPC, "No space left on device", 7), "No space left on device"),  # a file descriptor
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", Path("a/b")), "a/b: Not a directory"),
        (OSError(errno.ENAMETOOLONG, "Too long", "y" * 300), f"{'y' * 100}...{'y' * 100}: Too long"),
        (PermissionError(errno.EACCES, "Permission denied", b"caf\xe9"), "caf\ufffd: Permission denied"),
    ],
)  # fmt: skip
def test_what_the_file_system_refuses_is_one_message_in_every_command(capsys, error, message):
    with pytest.raises(SystemExit) as stopped, explained():
        raise error
    assert stopped.value.code == 2
    assert capsys.readouterr().err == f"error: {message}\n"


@pytest.mark.parametrize(
    "error", [FileNotFoundError(errno.ENOENT, "No such file", "x"), OSError("odd"), BrokenPipeError()]
)
def test_other_errors_of_files_are_bugs(error):
    with pytest.raises(type(error)), explained():
        raise error


def test_ctrl_c_has_the_status_of_a_shell(capsys):
    with pytest.raises(SystemExit) as stopped, explained():
        raise KeyboardInterrupt
    assert stopped.value.code == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_the_traceback_goes_into_the_run_folder_where_there_is_one(tmp_path):
    try:
        raise ValueError("deep inside")
    except ValueError as error:
        write_traceback(error, tmp_path / "missing")
        write_traceback(error, tmp_path)
    assert not (tmp_path / "missing").exists()
    stored = (tmp_path / ERROR_FILE).read_text()
    assert stored.startswith("Traceback")
    assert "ValueError: deep inside" in stored


def test_a_bug_in_a_training_step_keeps_its_traceback(tmp_path, monkeypatch):
    def broken(*args):
        raise ValueError("shapes do not fit")

    monkeypatch.setattr(ImageClassifier, "training_step", broken)
    with pytest.raises(ValueError, match="shapes do not fit"):
        cli.main([*SMALL, "--run_dir", str(tmp_path / "run")])


def test_an_optimizer_that_refuses_its_options_is_the_users(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main([*SMALL, "--run_dir", str(tmp_path / "run"), "--model.optimizer.lr=-1"])
    assert stopped.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "error: --model.optimizer.lr is -1.0: Invalid learning rate: -1.0"
    )
