"""Checkpoints that are missing, broken or of another model."""

import os
import re

import pytest
import torch
from torch import nn

import cli
from lab.errors import UserError
from lab.training.checkpoints import (
    check_carried,
    check_checkpoint,
    check_weights,
    load_model,
    preview,
    read_checkpoint,
)
from lightning_models.modules.plain_checkpoint import open_checkpoint
from tests.tiny_runs import copied, resumed


def refused(call, *args):
    with pytest.raises(UserError) as error:
        call(*args)
    return str(error.value)


@pytest.fixture
def last(gan_run):
    return gan_run / "checkpoints" / "last.ckpt"


def test_one_that_is_not_there(last, tmp_path):
    missing = last.with_name("lats.ckpt")
    assert refused(read_checkpoint, str(missing)) == (
        f"there is no checkpoint {missing}: the folder holds {last}, {last.with_name('best.ckpt')}"
    )
    elsewhere = "a run keeps its own in RUN/checkpoints/last.ckpt"
    for path in (tmp_path / "last.ckpt", tmp_path / "no" / "folder.ckpt"):
        assert refused(read_checkpoint, str(path)) == f"there is no checkpoint {path}: {elsewhere}"


def test_a_folder_is_answered_with_its_checkpoints(gan_run, last):
    for folder in (gan_run, gan_run / "checkpoints"):
        expected = f"{folder} is a folder and no checkpoint: the folder holds {last}, {last.with_name('best.ckpt')}"
        assert refused(read_checkpoint, str(folder)) == expected
    inside = gan_run / "samples"
    assert refused(read_checkpoint, str(inside)).startswith(f"{inside} is a folder and no checkpoint: a run keeps its")


def test_the_nearest_three_are_named(tmp_path):
    for name in ("best", "last", "epoch-1", "epoch-2"):
        (tmp_path / f"{name}.ckpt").touch()
    message = refused(read_checkpoint, str(tmp_path / "epoch-3.ckpt"))
    assert message.count(str(tmp_path)) == 4
    assert f"{tmp_path / 'epoch-1.ckpt'}, {tmp_path / 'epoch-2.ckpt'}" in message or "epoch-2.ckpt, " in message


def test_one_that_is_cut_off(last, tmp_path):
    cut = tmp_path / "cut.ckpt"
    cut.write_bytes(last.read_bytes()[:5000])
    assert refused(read_checkpoint, str(cut)).startswith(f"{cut} is not a checkpoint, or was cut off: use another one")


def test_one_that_is_damaged_inside(last, tmp_path):
    """Zeros in the middle, as a power cut leaves them: torch would load them as weights."""
    damaged, content = tmp_path / "damaged.ckpt", bytearray(last.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = bytes(2000)
    damaged.write_bytes(content)
    for call in (load_model, lambda path: check_checkpoint(path, "lightning_models.gan.GAN")):
        message = refused(call, str(damaged))
        assert message.startswith(f"{damaged} is damaged (the checksum of ")
        assert message.endswith(" is wrong): use another one of the same run")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hyper_parameters": [1]}, "is not a checkpoint: expected values with names as its hyper_parameters"),
        ({"hyper_parameters": None}, "expected values with names as its hyper_parameters"),
        ({"hyper_parameters": {1: 2}}, "expected values with names as its hyper_parameters"),
        ({"state_dict": {1: 2}}, "expected values with names as its state_dict"),
        ({"state_dict": [1]}, "is not a Lightning checkpoint: it holds no state_dict"),
        ({"model_class": 3}, "holds no model of this project: its class is None"),
        ({"model_class": "os.path"}, "holds a os.path, which is no model that checkpoints can be opened of"),
        ({"hyper_parameters": {}}, "does not fit the class GAN of today: GAN.__init__() missing 1 required"),
    ],
)  # fmt: skip
def test_one_whose_content_is_odd(last, tmp_path, changes, message):
    path = tmp_path / "odd.ckpt"
    torch.save({**torch.load(last, weights_only=True), **changes}, path)
    assert message in refused(load_model, str(path))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"optimizer_states": [{"state": {}, "param_groups": []}] * 2}, "groups of parameters, but now it has 1"),
        ({"loops": {}}, "cannot be resumed from: KeyError: 'fit_loop'"),
        ({"options": "a: ["}, "the options of the run that wrote "),
    ],
)
def test_one_that_cannot_be_restored_is_one_message(gan_run, tmp_path, capsys, changes, reason):
    run = copied(gan_run, tmp_path / "run")
    path = run / "checkpoints" / "last.ckpt"
    torch.save({**torch.load(path, weights_only=True), **changes}, path)
    with pytest.raises(SystemExit) as status:
        cli.main(["fit", *resumed(run), "--trainer.max_epochs", "3"])
    assert status.value.code == 2
    assert reason in capsys.readouterr().err


def test_fewer_epochs_than_are_done(gan_run, tmp_path, capsys):
    run = copied(gan_run, tmp_path / "run")
    path = run / "checkpoints" / "last.ckpt"
    torch.save({**torch.load(path, weights_only=True), "epoch": 5}, path)
    with pytest.raises(SystemExit) as status:
        cli.main(["fit", *resumed(run), "--trainer.max_epochs", "4"])
    assert status.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"error: {path} is of epoch 6, but --trainer.max_epochs is 4: give more to go on"
    )


class Harmful:
    """What weights_only=True does not open."""


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    path = tmp_path / "harmful.ckpt"
    torch.save({"state_dict": Harmful()}, path)
    assert refused(read_checkpoint, str(path)).startswith(f"{path} cannot be opened as a checkpoint (")


def test_a_path_that_is_not_utf_8_is_opened(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.ckpt")
    torch.save({"state_dict": {"x": torch.ones(1)}}, path)
    assert open_checkpoint(path)["state_dict"] == {"x": torch.ones(1)}


@pytest.mark.parametrize("content", [{"weights": 1}, [1, 2]])
def test_what_is_no_lightning_checkpoint(tmp_path, content):
    path = tmp_path / "other.ckpt"
    torch.save(content, path)
    assert refused(read_checkpoint, str(path)) == f"{path} is not a Lightning checkpoint: it holds no state_dict"


def test_one_of_another_class(last):
    path = str(last)
    check_checkpoint(path, "lightning_models.gan.GAN")
    assert refused(check_checkpoint, path, "lightning_models.gan_variants.WGAN") == (
        f"{path} holds a GAN, but the model is a WGAN: use the config.yaml of the checkpoint's own run folder"
    )


def test_one_of_another_project_is_not_checked_for_its_class(tmp_path):
    path = tmp_path / "other.ckpt"
    torch.save({"state_dict": {}}, path)
    check_checkpoint(str(path), "lightning_models.gan.GAN")
    assert "holds no model of this project: its class is None" in refused(load_model, str(path))


@pytest.mark.parametrize("name", ["lightning_models.gan.Gone", "lightning_models.gone.GAN"])
def test_a_class_that_does_not_exist_any_more(last, tmp_path, name):
    path = tmp_path / "old.ckpt"
    torch.save(torch.load(last, weights_only=True) | {"model_class": name}, path)
    assert refused(load_model, str(path)).startswith(f"{path} holds a {name}, which does not exist here: there is no ")


def test_one_that_does_not_fit_its_class_of_today(last, tmp_path):
    checkpoint = torch.load(last, weights_only=True)
    for changes in ({"state_dict": {}}, {"hyper_parameters": {**checkpoint["hyper_parameters"], "latent_dim": 5}}):
        path = tmp_path / "other.ckpt"
        torch.save({**checkpoint, **changes}, path)
        message = refused(load_model, str(path))
        assert message.startswith(f"{path} does not fit the class GAN of today: Error(s) in loading state_dict")


def test_a_class_of_others_is_refused_before_it_is_imported(last, tmp_path):
    path = tmp_path / "run" / "checkpoints" / "last.ckpt"
    path.parent.mkdir(parents=True)
    torch.save(torch.load(last, weights_only=True) | {"model_class": "no_such_package.MyGAN"}, path)
    assert f"{path} names no_such_package.MyGAN, which is no class of this project" in refused(load_model, str(path))
    (tmp_path / "run" / "config.yaml").write_text("model: {class_path: no_such_package.MyGAN}")  # the run's own config
    assert "which does not exist here: there is no module no_such_package" in refused(load_model, str(path))
    (tmp_path / "run" / "config.yaml").write_text("model: [")
    assert "which is no class of this project" in refused(load_model, str(path))


def test_a_model_is_loaded_in_evaluation_mode(last):
    model = load_model(str(last))
    assert not model.training
    assert not any(module.training for module in model.modules())
    stored = read_checkpoint(str(last))["state_dict"]
    assert all(torch.equal(weight, stored[name]) for name, weight in model.state_dict().items())


class Pair(nn.Module):
    def __init__(self, width=2, extra=False):
        super().__init__()
        self.a, self.b = nn.Linear(2, width), nn.Linear(width, 1)
        if extra:
            self.c = nn.Linear(1, 1)


@pytest.mark.parametrize(
    ("stored", "wanted", "message"),
    [
        (Pair(2), Pair(3), "a.weight is (2, 2) there and (3, 2) in the model (3 such weights). "),
        (Pair(extra=True), Pair(), "c.bias is only in the checkpoint (2 such weights). "),
        (Pair(), Pair(extra=True), "c.bias is only in the model (2 such weights). "),
    ],
)
def test_weights_that_do_not_fit(tmp_path, stored, wanted, message):
    path = tmp_path / "pair.ckpt"
    torch.save({"state_dict": stored.state_dict()}, path)
    check_weights(str(path), stored)
    expected = (
        f"^{re.escape(f'{path} does not fit this Pair: {message}')}Use the config.yaml of the checkpoint's own run"
    )
    with pytest.raises(UserError, match=expected):
        check_weights(str(path), wanted)


def test_a_weight_that_is_no_tensor(tmp_path):
    path, model = tmp_path / "odd.ckpt", nn.Linear(2, 1)
    torch.save({"state_dict": {**model.state_dict(), "bias": True}}, path)
    assert "bias is no tensor there and (1,) in the model (1 such weights)" in refused(check_weights, str(path), model)


class Classes(nn.Module):
    def __init__(self, **hparams):
        super().__init__()
        self.hparams = hparams


def test_classes_and_vocabulary_must_be_those_of_the_checkpoint(tmp_path):
    path = tmp_path / "names.ckpt"
    torch.save({"state_dict": {}, "hyper_parameters": {"class_names": ["a", "b"], "vocabulary": None}}, path)
    check_carried(str(path), Classes(class_names=("a", "b"), vocabulary=["x"]), ())
    for found, shown in ((["b", "a"], "2 ('b' 'a')"), (None, "none")):
        assert refused(check_carried, str(path), Classes(class_names=found), {"class_names"}) == (
            f"the class names of {path} and of this data differ: 2 ('a' 'b') there, {shown} here. "
            "Use the data that it was trained on, or leave out --data.class_names"
        )


def test_a_preview_shows_eight_values():
    assert preview("abcdefgh") == "8 ('a' 'b' 'c' 'd' 'e' 'f' 'g' 'h')"
    assert preview("abcdefghi") == "9 ('a' 'b' 'c' 'd' 'e' 'f' 'g' 'h' ...)"
