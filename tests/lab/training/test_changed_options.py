"""Other options on a resume: which may change, what is printed, and what the run's config.yaml then says."""

import pytest
import torch
import yaml

import cli
from lab.errors import UserError
from lab.training.changed_options import (
    Change,
    RecordedOptions,
    changed_options,
    check_changes,
    print_changes,
    recorded_options,
)
from tests import tiny_runs
from tests.stopping_callbacks import sigterm
from tests.tiny_runs import copied, resumed


def options(**changes):
    """The options of a run as in its config.yaml; `changes` by dotted names with __ for the dots."""
    found = {
        "seed_everything": 0,
        "run_dir": "runs/a",
        "quiet": False,
        "trainer": {"max_epochs": 2, "callbacks": None},
        "model": {
            "class_path": "lightning_models.image_classifier.ImageClassifier",
            "init_args": {
                "l1": 0.0,
                "regularizer": None,
                "optimizer": {"class_path": "torch.optim.Adam", "init_args": {"lr": 0.001, "betas": [0.9, 0.999]}},
                "schedule": {"class_path": "lightning_models.modules.schedules.Constant"},
            },
        },
        "data": {
            "class_path": "datamodules.images.Digits",
            "init_args": {"split_seed": 0, "val_fraction": 0.1, "classes": None, "batch_size": 64, "path": "a"},
        },
    }
    for name, value in changes.items():
        *owners, last = name.split("__")
        node = found
        for owner in owners:
            node = node[owner]
            node = node.get("init_args", node)
        node[last] = value
    return found


def changes_of(**changes):
    return [str(change) for change in changed_options(options(), options(**changes))]


def test_equal_options_have_no_changes_whatever_the_start_was_like():
    assert changes_of() == []
    assert changes_of(run_dir="runs/b", quiet=True, ckpt_path="last.ckpt", config="a.yaml") == []


def test_changes_are_named_as_they_are_typed():
    assert changes_of(
        trainer__max_epochs=4,
        model__optimizer__lr=1e-5,
        model__l1=0.5,
        model__schedule={"class_path": "lightning_models.modules.schedules.Cosine", "init_args": {"final": 0.1}},
        model__regularizer={"class_path": "lightning_models.losses.GradientPenalty", "init_args": {"weight": 1}},
        data__classes=[3, 8],
    ) == [
        "trainer.max_epochs 2 -> 4",
        "model.l1 0.0 -> 0.5",
        "model.regularizer null -> GradientPenalty",
        "model.optimizer.lr 0.001 -> 1e-05",
        "model.schedule Constant -> Cosine",
        "data.classes null -> [3, 8]",
    ]


def test_a_long_value_is_cut():
    assert len(str(Change("data.path", "a", list(range(100))))) == len("data.path a -> ") + 60


def test_options_that_only_one_version_has_are_no_changes():
    assert changes_of(model__new=3, texts={"length": 3}) == []
    assert changed_options(options(model__old=3), options()) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"trainer__max_epochs": 9},
        {"model__optimizer__lr": 1.0},
        {"model__l1": 0.5},
        {"data__path": "elsewhere"},
        {"data__batch_size": 32},  # the loader refuses it in the middle of an epoch
    ],
)
def test_what_may_change(changes):
    now = options(**changes)
    check_changes(changed_options(options(), now), now)


def test_a_schedule_may_become_another_but_not_begin_or_end():
    cosine, steps, constant = (
        options(model__schedule={"class_path": f"lightning_models.modules.schedules.{name}", "init_args": {}})
        for name in ("Cosine", "Steps", "Constant")
    )
    check_changes(changed_options(cosine, steps), steps)
    for before, now, told in ((cosine, constant, "Cosine -> Constant"), (constant, cosine, "Constant -> Cosine")):
        with pytest.raises(UserError, match=rf"model\.schedule {told}: leave that as it was"):
            check_changes(changed_options(before, now), now)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"data__split_seed": 3}, "data.split_seed 0 -> 3"),
        ({"data__val_fraction": 0.2, "data__classes": [1]}, "data.val_fraction 0.1 -> 0.2, data.classes null -> [1]"),
        ({"data": {"class_path": "datamodules.images.MNIST", "init_args": {}}}, "data Digits -> MNIST"),
        ({"model": {"class_path": "lightning_models.gan.GAN", "init_args": {}}}, "model ImageClassifier -> GAN"),
        ({"seed_everything": 1, "trainer__max_epochs": 3}, "seed_everything 0 -> 1"),
        ({"model__optimizer": {"class_path": "torch.optim.SGD", "init_args": {}}}, "model.optimizer Adam -> SGD"),
    ],
)  # fmt: skip
def test_what_may_not_change_is_told_in_one_message(changes, told):
    now = options(**changes)
    with pytest.raises(UserError, match="a resumed run keeps its data, its seed") as error:
        check_changes(changed_options(options(), now), now)
    assert f"constant, but {told}: leave that as it was, or start a new run" in str(error.value)


def test_options_of_other_projects_data_are_their_own_business():
    before, now = options(data__workers=1), options(data__workers=2)
    with pytest.raises(UserError, match=r"data\.workers 1 -> 2"):
        check_changes(changed_options(before, now), now)
    before["data"]["class_path"] = now["data"]["class_path"] = "pytorch_lightning.LightningDataModule"
    check_changes(changed_options(before, now), now)


def test_options_of_optimizers_are_printed_where_they_are_used(capsys):
    now = options(model__optimizer__lr=1e-5, trainer__max_epochs=4, model__l1=1.0)
    print_changes(changed_options(options(), now), now)
    assert capsys.readouterr().err == "resumed with trainer.max_epochs 2 -> 4, model.l1 0.0 -> 1.0\n"
    print_changes(changed_options(options(), options(model__optimizer__lr=1e-5)), now)
    assert capsys.readouterr().err == ""


def test_options_are_found_in_the_checkpoint_or_beside_it(tmp_path):
    path = str(tmp_path / "checkpoints" / "last.ckpt")
    assert recorded_options({}, path) is None
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(options(trainer__max_epochs=5)))
    assert recorded_options({}, path)["trainer"]["max_epochs"] == 5
    checkpoint = {}
    RecordedOptions(yaml.safe_dump(options())).on_save_checkpoint(None, None, checkpoint)
    assert recorded_options(checkpoint, path) == options()
    for text in ("a: [", "- a"):
        (tmp_path / "config.yaml").write_text(text)
        assert recorded_options({}, path) is None


def test_options_of_an_earlier_version_are_translated(tmp_path):
    text = "model: {class_path: lightning_models.CharLanguageModel, init_args: {cell: gru}}"
    found = recorded_options({"options": text}, str(tmp_path / "a.ckpt"))
    assert found["model"]["init_args"]["network"]["init_args"] == {"cell": "gru"}


# From the command line


def resume(run, *more):
    cli.main(["fit", *resumed(run), "--trainer.max_epochs", "3", *more])
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)


def test_a_resumed_run_uses_the_learning_rate_that_it_is_given_and_records_it(classifier_run, tmp_path, capsys):
    run = copied(classifier_run, tmp_path / "run")
    checkpoint = resume(run, "--model.optimizer.lr", "1e-5", "--model.optimizer.weight_decay", "0.5")
    (group,) = checkpoint["optimizer_states"][0]["param_groups"]
    assert (group["lr"], group["weight_decay"], group["betas"]) == (1e-5, 0.5, (0.9, 0.999))
    assert yaml.safe_load(checkpoint["options"])["model"]["init_args"]["optimizer"]["init_args"]["lr"] == 1e-5
    assert "lr: 1.0e-05" in (run / "config-resumed.yaml").read_text()
    printed = capsys.readouterr().err
    assert "resumed with trainer.max_epochs 2 -> 3\n" in printed
    assert "resumed with learning rate 0.001 -> 1e-05, weight decay 0.0 -> 0.5\n" in printed
    resume(run, "--model.optimizer.lr", "1e-5", "--model.optimizer.weight_decay", "0.5")
    assert "resumed with" not in capsys.readouterr().err


def contents(run):
    """Of all files of a run that no failed start writes."""
    return {p: p.read_bytes() for p in run.rglob("*") if p.is_file() and p.name not in ("error.txt", "run.lock")}


def refused(run, capsys, *options):
    """The message; the run is as it was."""
    before = contents(run)
    with pytest.raises(SystemExit) as status:
        resume(run, *options)
    assert status.value.code == 2
    assert contents(run) == before
    return capsys.readouterr().err


def test_another_optimizer_or_split_is_one_message_and_leaves_the_run_as_it_was(classifier_run, tmp_path, capsys):
    run = copied(classifier_run, tmp_path / "run")
    assert "model.optimizer Adam -> SGD" in refused(run, capsys, "--model.optimizer", "SGD")
    assert "data.split_seed 0 -> 1" in refused(run, capsys, "--data.split_seed", "1")


def test_the_batch_size_may_change_between_two_epochs_only(tmp_path, capsys):
    run = tmp_path / "run"
    with pytest.raises(SystemExit):
        cli.main([*tiny_runs.CLASSIFIER, "--run_dir", str(run), *sigterm(2, "on_train_batch_start")])
    capsys.readouterr()
    smaller = ["--trainer.callbacks", "null", "--data.batch_size", "32"]
    message = refused(run, capsys, *smaller)
    assert "in the middle of an epoch, after 3 batches, and since then batch size of all processes 128 -> 32" in message
    assert resume(run, *smaller[:2])["global_step"] == 12
    assert resume(run, *smaller, "--trainer.max_epochs", "4")["global_step"] == 16
