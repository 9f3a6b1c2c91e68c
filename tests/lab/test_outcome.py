"""A user's mistake ends in one message and status 2, a bug in its traceback; either way the traceback is stored."""

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
