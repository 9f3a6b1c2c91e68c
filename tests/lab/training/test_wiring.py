"""Each option of fit, validate, test and predict reaches the object that it is meant for."""

import inspect
import json
from types import SimpleNamespace

import pytest
import torch
import yaml
from pytorch_lightning import Callback
from pytorch_lightning.callbacks import ModelCheckpoint

import cli
from lab.training import callbacks as run_callbacks
from lab.training import cli as training_cli
from lab.training import registry
from lightning_models.callbacks.alarms import Alarms
from lightning_models.callbacks.image_samples import ImageSamples
from lightning_models.callbacks.progress import ProgressBar
from lightning_models.callbacks.run_summary import RunSummary
from lightning_models.callbacks.sample_quality import SampleQuality
from lightning_models.callbacks.text_samples import TextSamples
from lightning_models.tracking.metrics_file import MetricsFile
from lightning_models.tracking.wandb_runs import WandbOptions
from tests import tiny_runs
from tests.tiny_runs import resumed

# A value other than the default for every option of the groups that come on top of Lightning's.
OPTIONS = {
    "samples": {
        "grid": 3,
        "every_n_epochs": 4,
        "every_n_batches": 5,
        "progress_columns": 6,
        "progress_rows": 7,
        "interpolation_steps": 8,
        "interpolation_mode": "linear",
        "seed": 9,
    },
    "texts": {
        "length": 3,
        "prompt": "Q",
        "temperature": 0.4,
        "top_k": 5,
        "top_p": 0.6,
        "every_n_epochs": 7,
        "seed": 8,
    },
    "quality": {
        "network": "random",
        "num_samples": 30,
        "num_samples_in_fit": 40,
        "every_n_epochs": 5,
        "seed": 6,
    },
    "alarms": {"enabled": False, "every_n_batches": 30, "on_alarm": "restart", "restarts": 4},
    "wandb": {"mode": "disabled", "project": "p", "group": "g", "name": "n", "setting": {"model.l2": 0.1}},
}
CLASSES = {"samples": ImageSamples, "texts": TextSamples, "quality": SampleQuality, "alarms": Alarms}
ATTRIBUTES = {("quality", "network"): "option"}  # where an option's attribute has another name


def of(trainer, kind):
    """The trainer's only callback of that class."""
    (found,) = [callback for callback in trainer.callbacks if isinstance(callback, kind)]
    return found


@pytest.mark.parametrize("group", OPTIONS)
def test_the_table_above_has_every_option_with_a_value_of_its_own(group):
    parameters = inspect.signature({**CLASSES, "wandb": WandbOptions}[group]).parameters
    assert OPTIONS[group].keys() == parameters.keys()
    assert not [name for name, value in OPTIONS[group].items() if parameters[name].default == value]


def test_the_options_of_groups(calls, tmp_path, monkeypatch):
    tracked = []
    monkeypatch.setattr(training_cli, "start_wandb", lambda *args: tracked.append(args))
    given = [
        f"--{group}.{name}={json.dumps(value) if isinstance(value, dict) else value}"
        for group, options in OPTIONS.items()
        for name, value in options.items()
    ]
    cli.main([*tiny_runs.GAN, *given, "--run_dir", str(tmp_path / "run")])
    ((name, trainer, _),) = calls
    assert name == "fit"
    for group, kind in CLASSES.items():
        callback = of(trainer, kind)
        found = {name: getattr(callback, ATTRIBUTES.get((group, name), name)) for name in OPTIONS[group]}
        assert found == OPTIONS[group]
    ((tracked_trainer, wandb_options, config),) = tracked
    assert tracked_trainer is trainer
    assert vars(wandb_options) == OPTIONS["wandb"]
    assert config["model"]["init_args"]["latent_dim"] == 4


def test_a_fit(calls, tmp_path, capsys):
    run = tmp_path / "run"
    cli.main([*tiny_runs.GAN, "--seed_everything", "7", "--run_dir", str(run), "--trainer.max_epochs", "3"])
    ((name, trainer, options),) = calls
    assert (name, options["ckpt_path"]) == ("fit", None)
    assert trainer.max_epochs == 3
    assert type(options["model"]).__name__ == "GAN"
    assert type(options["datamodule"]).__name__ == "Digits"
    assert options["model"].latent_dim == 4
    assert torch.initial_seed() == 7
    drawn = torch.rand(3)  # as if the networks had drawn nothing, so that one process draws what several do
    assert torch.equal(drawn, torch.rand(3, generator=torch.Generator().manual_seed(7)))
    assert of(trainer, RunSummary).seed == 7
    assert of(trainer, RunSummary).command.startswith("python cli.py fit --model GAN")
    assert trainer.default_root_dir == str(run)
    (logger,) = trainer.loggers
    assert isinstance(logger, MetricsFile)
    assert logger.log_dir.rstrip("/") == str(run)
    assert yaml.safe_load((run / "config.yaml").read_text())["seed_everything"] == 7
    assert f"summary      {run / 'summary.json'}" in capsys.readouterr().out


@pytest.mark.parametrize(("options", "shows_it"), [([], True), (["--quiet"], False)])
def test_quiet_leaves_out_the_progress_bar(calls, tmp_path, options, shows_it):
    fit = [option for option in tiny_runs.GAN if option != "--quiet"]
    cli.main([*fit, *options, "--run_dir", str(tmp_path / "run")])
    ((_, trainer, _),) = calls
    assert (trainer.progress_bar_callback is not None) == shows_it
    assert any(isinstance(callback, ProgressBar) for callback in trainer.callbacks) == shows_it


@pytest.mark.parametrize(
    ("options", "best"),
    [(tiny_runs.GAN, ("val/fid", "min")), (tiny_runs.VAE, ("val/elbo", "max")), (tiny_runs.CLASSIFIER, None)],
    ids=["GAN", "VAE", "ImageClassifier"],
)
def test_the_best_checkpoint_follows_the_monitor_of_the_family(calls, tmp_path, options, best):
    data = ["--data.value_range", "[0.0, 1.0]"] if options is tiny_runs.VAE else []
    cli.main([*options, *data, "--run_dir", str(tmp_path)])
    ((_, trainer, _),) = calls
    checkpoints = {c.filename: c for c in trainer.callbacks if isinstance(c, ModelCheckpoint)}
    assert checkpoints.keys() == {"best", "last"}
    assert checkpoints["last"].monitor is None
    assert {c.dirpath for c in checkpoints.values()} == {str(tmp_path / "checkpoints")}
    found = (checkpoints["best"].monitor, checkpoints["best"].mode)
    assert found == (best or ("val/accuracy", "max"))


FIGURES = {  # what is drawn of a run of each family, beside the callbacks of every run
    "GAN": set(),
    "VAE": {"VAEPictures"},
    "ImageClassifier": {"ConfusionMatrices", "WorstMistakes", "LearningCurves"},
    "SequenceClassifier": {"ConfusionMatrices", "LearningCurves"},
    "CharLanguageModel": {"LearningCurves"},
}
OF_EVERY_RUN = ["RandomState", "ResumeAfterEpoch", "Throughput", "Given", "CheckpointWhenStopped"]


def test_each_family_has_its_figures_and_checkpoints_come_last(tmp_path):
    assert FIGURES.keys() == {family.__name__ for family in registry.LEARNS_FROM}
    for family in registry.LEARNS_FROM:
        model = family.__new__(family)
        made = run_callbacks.run_callbacks(model, [type("Given", (Callback,), {})()], False, True, tmp_path)
        names = [type(callback).__name__ for callback in made]
        best = ["BestCheckpoint"] if getattr(family, "monitor", None) else []
        assert names[:4] == OF_EVERY_RUN[:4]
        assert set(names[4 : -2 - len(best)]) == FIGURES[family.__name__]
        assert names[-2 - len(best) :] == [*best, "ModelCheckpoint", "CheckpointWhenStopped"]
    (curves,) = (made.quantities for made in made if type(made).__name__ == "LearningCurves")
    assert curves == ("nats_per_char",)  # of the last family


@pytest.mark.parametrize("command", ["validate", "test", "predict"])
def test_what_measures_a_checkpoint(gan_run, calls, tmp_path, monkeypatch, command):
    monkeypatch.setenv("WANDB_MODE", "online")  # of a fit only
    cli.main([command, *resumed(gan_run), "--run_dir", str(tmp_path), "--wandb.mode", "online"])
    ((name, trainer, options),) = calls
    assert name == command
    assert options["ckpt_path"] == str(gan_run / "checkpoints" / "last.ckpt") or command == "predict"
    assert not [callback for callback in trainer.callbacks if isinstance(callback, ModelCheckpoint)]
    (logger,) = trainer.loggers
    assert isinstance(logger, MetricsFile)
    assert trainer.default_root_dir == str(tmp_path / command)
    assert (tmp_path / command / "config.yaml").exists()


def test_the_default_folder_is_named_after_the_experiment(calls, in_tmp_path, monkeypatch):
    monkeypatch.setattr("time.strftime", lambda form: "20260101-000000")
    cli.main(tiny_runs.GAN)
    ((_, trainer, _),) = calls
    assert trainer.default_root_dir == "runs/gan/digits/20260101-000000"
    assert (in_tmp_path / "runs" / "gan" / "digits" / "20260101-000000" / "config.yaml").exists()


@pytest.mark.parametrize(
    ("given", "epochs"),
    [({}, 20), ({"max_epochs": 3}, 3), ({"max_epochs": -1}, -1), ({"max_steps": 3}, None), ({"max_time": "1:0"}, None)],
)
def test_a_run_that_nothing_ends_has_twenty_epochs(given, epochs):
    trainer = SimpleNamespace(**{"max_epochs": None, "max_steps": -1, "max_time": None, "min_epochs": None, **given})
    training_cli.give_an_end(trainer)
    assert trainer.max_epochs == epochs


@pytest.mark.parametrize(("metric", "mode", "after_epochs"), [("val/fid", "min", True), ("val/elbo", "max", False)])
def test_the_best_checkpoint_is_chosen_when_its_metric_is_measured(tmp_path, monkeypatch, metric, mode, after_epochs):
    """The quality of samples is measured after epochs, everything else in a validation."""
    made = []
    monkeypatch.setattr(run_callbacks, "BestCheckpoint", lambda *args, **options: made.append((args, options)))
    run_callbacks.checkpoints(tmp_path, metric)
    assert made == [((tmp_path, metric, mode), {"save_on_train_epoch_end": after_epochs})]
