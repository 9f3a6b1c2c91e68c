"""The folder of a run: its own, and gone again if nothing came out."""

import pytest

from lab.errors import UserError
from lab.training.run_folder import (
    config_file,
    default_run_folder,
    experiment_name,
    given_run_folder,
    unused_folder,
)


def test_runs_that_begin_in_the_same_second_have_folders_of_their_own(in_tmp_path, monkeypatch):
    monkeypatch.setattr("time.strftime", lambda form: "20260101-000000")
    monkeypatch.setenv("LIGHTNING_MODELS_RUN_DIR", "")
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
    assert experiment_name(["/config.yaml"], "", "") == "config"
    assert experiment_name(["/config/other.yaml"], "", "") == "config/other"
    assert experiment_name([], "lightning_models.gan.GAN", "datamodules.images.MNIST") == "gan/mnist"
