"""validate, test and predict with a checkpoint alone: it knows the options of its run."""

import json
import shutil

import jsonargparse
import pytest
import torch
import yaml

import cli
from datamodules.images import Digits
from lab.errors import UserError
from lab.training.given import in_one_line, read_given
from lab.training.own_config import importable_in, with_own_config
from tests import tiny_runs
from tests.tiny_runs import checkpoint_of, copied


def known(*words):
    return with_own_config(read_given(list(words)), list(words))


def complaint(capsys, *words):
    capsys.readouterr()
    with pytest.raises(SystemExit) as status:
        cli.main([*map(str, words)])
    assert status.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def stored(path, options):
    """A checkpoint of no weights with these options."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": {}, "options": yaml.safe_dump(options)}, path)
    return ["--ckpt_path", str(path)]


OPTIONS = {
    "run_dir": "elsewhere",
    "quiet": True,
    "seed_everything": 3,
    "trainer": {"max_epochs": 2},
    "model": {"class_path": "lightning_models.gan.GAN", "init_args": {"latent_dim": 5}},
    "data": {"class_path": "datamodules.images.Digits", "init_args": {"batch_size": 64}},
}


def test_what_is_typed_overrides_what_the_checkpoint_knows(tmp_path):
    given = known(*stored(tmp_path / "a.ckpt", OPTIONS), "--data.batch_size", "7", "--trainer.limit_val_batches=2")
    assert given.tree["model"] == {"class_path": "lightning_models.gan.GAN", "latent_dim": 5}
    assert given.tree["data"] == {"class_path": "datamodules.images.Digits", "batch_size": "7"}
    assert given.tree["trainer"] == {"max_epochs": 2, "limit_val_batches": "2"}
    assert given.tree["seed_everything"] == 3
    assert not {"run_dir", "quiet"} & given.tree.keys()  # of that start
    assert given.arguments[0] == "--config"
    assert yaml.safe_load(given.arguments[1])["model"] == OPTIONS["model"]


def test_results_go_into_the_run_folder_that_the_checkpoint_lies_in(tmp_path):
    words = stored(tmp_path / "run" / "checkpoints" / "last.ckpt", OPTIONS)
    assert "run_dir" not in known(*words).tree
    (tmp_path / "run" / "config.yaml").write_text("{}")
    assert known(*words).tree["run_dir"] == str(tmp_path / "run")
    assert known(*words, "--run_dir", "mine").tree["run_dir"] == "mine"


def test_a_checkpoint_without_options_asks_for_them_or_takes_typed_ones(tmp_path):
    torch.save({"state_dict": {}}, tmp_path / "a.ckpt")
    words = ["--ckpt_path", str(tmp_path / "a.ckpt")]
    with pytest.raises(UserError, match=r"a\.ckpt does not hold the options of its run: give the run's config with -c"):
        known(*words)
    given = read_given([*words, "--model", "GAN"])
    assert with_own_config(given, []) is given


def test_a_config_in_one_line_is_read_as_it_was():
    config = {"a": float("inf"), "b": 1e-5, "c": [None, True, "x: y", "1e-3"], "d": {"e": "é" * 200, "f": "null"}}
    assert "\n" not in in_one_line(config)
    assert jsonargparse.get_loader("yaml")(in_one_line(config)) == config


@pytest.mark.parametrize("as_text", [True, False])
def test_modules_that_nobody_named_are_not_imported(tmp_path, monkeypatch, as_text, capsys):
    (tmp_path / "stranger").mkdir()
    (tmp_path / "stranger" / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    found = "stranger.Thing" if as_text else {"class_path": "stranger.Thing"}
    words = stored(tmp_path / "a.ckpt", OPTIONS | {"trainer": {"callbacks": [found]}})
    line = complaint(capsys, "validate", *words)
    assert "names stranger.Thing, which is no class of this project, and nothing was imported for it" in line
    assert "the module stranger cannot be imported: RuntimeError: imported" in complaint(
        capsys, "validate", *words, "--allow", "stranger"
    )


def test_which_texts_could_be_class_paths():
    values = ["torch.optim.Adam", "Adam", "runs/a.b", "no_such_package.x", "1.5", ".hidden.x", "", None, 3]
    assert list(importable_in({"a": values, "b": {"c": ("json.tool",)}})) == ["torch.optim.Adam", "json.tool"]


def test_the_options_of_the_run_are_those_that_are_used(gan_run, tmp_path):
    run = copied(gan_run, tmp_path / "run")
    cli.main(["validate", *checkpoint_of(run), "--quality.network", "none"])
    summary = json.loads((run / "validate" / "summary.json").read_text())
    config = yaml.safe_load((run / "validate" / "config.yaml").read_text())
    assert config["model"]["init_args"]["latent_dim"] == 4
    assert config["trainer"]["limit_val_batches"] == 3
    cli.main(["validate", "-c", str(run / "config.yaml"), *checkpoint_of(run), "--quality.network", "none"])
    again = json.loads((run / "validate-2" / "summary.json").read_text())
    assert summary["metrics"] == again["metrics"] != {}


def test_one_that_was_copied_out_of_its_folder(gan_run, in_tmp_path):
    shutil.copy(gan_run / "checkpoints" / "last.ckpt", "mine.ckpt")
    cli.main(["predict", "--ckpt_path", "mine.ckpt", "--quiet"])
    (written,) = in_tmp_path.glob("runs/gan/digits/*/predict/predictions.csv")
    data = Digits()
    data.setup("predict")
    assert len(written.read_text().splitlines()) == 1 + len(data.test_images)


def test_data_that_has_moved_is_one_message(names_folder, tmp_path, capsys):
    shutil.copytree(names_folder, tmp_path / "names")
    cli.main([*tiny_runs.names(tmp_path / "names"), "--run_dir", str(tmp_path / "run")])
    (tmp_path / "names").rename(tmp_path / "other")
    words = ["validate", *checkpoint_of(tmp_path / "run")]
    line = complaint(capsys, *words)
    assert f"--data.path {tmp_path / 'names'}: there is no such folder" in line
    assert line.endswith("last.ckpt: override those that changed, such as --data.path or --data.root)")
    cli.main([*words, "--data.path", str(tmp_path / "other")])
    assert "val/accuracy" in (tmp_path / "run" / "validate" / "summary.json").read_text()


def test_without_a_checkpoint(capsys):
    assert complaint(capsys, "test") == "error: test needs a checkpoint: --ckpt_path RUN/checkpoints/last.ckpt"
