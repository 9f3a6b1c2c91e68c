"""The folder of a run: its own, and gone again if nothing came out."""

from pathlib import Path

import pytest

from lab.errors import UserError
from lab.training import run_folder
from lab.training.run_folder import (
    config_file,
    default_run_folder,
    experiment_name,
    given_run_folder,
    unused_folder,
)


def test_runs_that_begin_in_the_same_second_have_folders_of_their_own(in_tmp_path, monkeypatch):
    monkeypatch.setattr("time.strftime", lambda form: "20260101-000000")
    folders = [default_run_folder("gan/digits", writes=True).path for _ in range(3)]
    assert [folder.name for folder in folders] == ["20260101-000000", "20260101-000000-2", "20260101-000000-3"]
    assert all(folder.is_dir() for folder in folders)


def test_a_process_that_writes_nothing_makes_no_folder(tmp_path):
    assert unused_folder(tmp_path / "run", writes=False).path == tmp_path / "run"
    assert not (tmp_path / "run").exists()


def test_a_folder_without_results_goes_with_those_that_were_made_for_it(tmp_path):
    folder = given_run_folder(tmp_path / "a" / "b" / "run", None, writes=True)
    (folder.path / "config.yaml").touch()
    folder.remove_unless_results()
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("result", ["metrics.csv", "samples", "checkpoints"])
def test_results_stay(tmp_path, result):
    folder = given_run_folder(tmp_path / "run", None, writes=True)
    (folder.path / result).touch()
    folder.remove_unless_results()
    assert (tmp_path / "run" / result).exists()


def test_a_folder_of_the_user_stays(tmp_path):
    (tmp_path / "run").mkdir()
    given_run_folder(tmp_path / "run", None, writes=True).remove_unless_results()
    assert (tmp_path / "run").is_dir()


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "run", tmp_path / "file" / "deeper" / "run"):
        with pytest.raises(UserError, match=f"cannot create the run folder {path}: "):
            given_run_folder(path, None, writes=True)
        with pytest.raises(UserError, match=f"cannot create the run folder {path}: "):
            unused_folder(path, writes=True)


def test_each_set_of_options_of_a_run_has_one_file(tmp_path):
    names = []
    for epochs in (1, 2, 2, 3, 1, 3):
        path = config_file(tmp_path, f"{{max_epochs: {epochs}}}")
        path.write_text(f"max_epochs: {epochs}")
        names.append(path.name)
    assert names == ["config.yaml", *["config-resumed.yaml"] * 2, "config-resumed-2.yaml", names[0], names[3]]


def test_a_config_of_the_users_own_is_not_taken_for_that_of_a_run(tmp_path):
    run = tmp_path / "gan" / "digits" / "20260101-000000"
    run.mkdir(parents=True)
    assert experiment_name([str(run / "config.yaml")], "", "") == "20260101-000000/config"
    (run / "metrics.csv").touch()
    assert experiment_name([str(run / "config.yaml")], "", "") == "gan/digits"
    assert experiment_name(["configs/gan/digits.yaml", "configs/vae/mnist.yaml"], "", "") == "vae/mnist"
    assert experiment_name(["/config.yaml"], "", "") == "config"
    assert experiment_name(["/config/other.yaml"], "", "") == "config/other"
    assert experiment_name([], "lightning_models.gan.GAN", "datamodules.images.MNIST") == "gan/mnist"


def refused(run_dir, ckpt_path=None):
    with pytest.raises(UserError) as error:
        given_run_folder(run_dir, ckpt_path, writes=True)
    return str(error.value)


def test_a_given_folder_is_new_or_empty_or_that_of_the_resumed_run(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    assert (
        refused(tmp_path / "file") == f"--run_dir {tmp_path / 'file'} is a file: give a folder that does not exist yet"
    )
    run = tmp_path / "my run"
    run.mkdir()
    assert given_run_folder(run, None, writes=True).path == run
    (run / "thesis.tex").touch()
    assert refused(run) == f"--run_dir {run} holds other files: give a folder that is empty or does not exist yet"
    (run / "config.yaml").touch()
    assert refused(run) == (
        f"{run} holds a run that ended before its first checkpoint: choose another --run_dir, or begin it again with "
        "--resume"
    )
    (run / "checkpoints").mkdir()
    last = run / "checkpoints" / "last.ckpt"
    last.touch()
    assert refused(run, str(tmp_path / "other" / "checkpoints" / "last.ckpt")) == (
        f"{run} already holds a run. To resume it:\n"
        f"  python cli.py fit -c '{run}/config.yaml' --ckpt_path '{last}'\n"
        "To start another run, choose another --run_dir; null creates one below runs/."
    )
    assert given_run_folder(run, str(last), writes=True).path == run
    monkeypatch.chdir(tmp_path)
    assert given_run_folder(Path("my run"), str(last), writes=True).path == Path("my run")


def test_a_process_that_writes_nothing_checks_nothing(tmp_path):
    (tmp_path / "thesis.tex").touch()
    assert given_run_folder(tmp_path, None, writes=False).path == tmp_path


def test_of_two_runs_that_start_in_one_folder_the_second_is_refused(tmp_path, monkeypatch):
    run = tmp_path / "run"

    def check_run_dir(run_dir, ckpt_path):  # and then the other run comes first
        return None

    monkeypatch.setattr(run_folder, "check_run_dir", check_run_dir)
    monkeypatch.setattr(type(run), "exists", lambda path: path != run)
    run.mkdir()
    assert refused(run) == f"another run has just started in --run_dir {run}: choose another folder"


def test_only_folders_that_the_run_created_are_removed(tmp_path):
    (tmp_path / "mine").mkdir()
    folder = given_run_folder(tmp_path / "mine" / "a" / "run", None, writes=True)
    assert folder.created == [tmp_path / "mine" / "a" / "run", tmp_path / "mine" / "a"]
    (tmp_path / "mine" / "a" / "other").mkdir()
    folder.remove_unless_results()
    assert [path.name for path in (tmp_path / "mine" / "a").iterdir()] == ["other"]


def test_a_read_only_file_system_is_named(tmp_path, monkeypatch):
    def mkdir(path, **options):
        if path != tmp_path:
            raise OSError(30, "Read-only file system")

    monkeypatch.setattr(type(tmp_path), "mkdir", mkdir)
    assert refused(tmp_path / "run") == f"cannot create the run folder {tmp_path / 'run'}: Read-only file system"
