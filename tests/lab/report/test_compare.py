"""The options in which runs differ and the metrics that they are compared by, on made-up runs."""

import pytest

from lab.report.collect import collect
from lab.report.compare import (
    differing_options,
    is_detail,
    is_result,
    main_metrics,
    spans_decades,
    varies_alone,
    without_consequences,
    without_twins,
)
from lab.report.runs import Run
from tests.lab.study_folders import write_run


def run(**settings):
    """A run with these options, `_` for each dot of a name."""
    return Run("run", None, "complete", settings={name.replace("_", "."): value for name, value in settings.items()})


@pytest.mark.parametrize("option", ["model", "model.lr", "data.size", "trainer.epochs"])
def test_options_of_model_data_and_trainer_are_compared(option):
    runs = [Run("a", None, "complete", settings={option: value}) for value in (1, 2)]
    assert differing_options(runs) == [option]
    assert differing_options([runs[0], runs[0], run()]) == []  # one value; who has none does not differ


@pytest.mark.parametrize(
    "option",
    [
        *("config", "run_dir", "seed_everything", "ckpt_path", "quiet", "data.root", "data.num_workers"),
        *("samples.grid", "wandb.name", "quality.seed", "models.lr"),
    ],
)
def test_options_that_change_no_result_are_not(option):
    assert differing_options([Run("a", None, "complete", settings={option: value}) for value in (1, 2)]) == []


def test_options_that_follow_from_a_class_are_left_out_and_named():
    runs = [
        run(model="GAN", model_loss="logistic", model_lr=1, data="MNIST", trainer_epochs=1),
        run(model="GAN", model_loss="logistic", model_lr=2, data="MNIST", trainer_epochs=1),
        run(model="WGAN", model_loss="Wasserstein", model_lr=1, data="MNIST", trainer_epochs=2),
        run(model="VAE", model_lr=1, data="MNIST", trainer_epochs=1),
    ]
    notes: list[str] = []
    differing = ["model", "model.loss", "model.lr", "trainer.epochs"]
    assert differing_options(runs) == differing
    assert without_consequences(differing, runs, notes) == ["model", "model.lr", "trainer.epochs"]
    assert notes == ["Not shown, because each model has its own: model.loss."]


def test_options_follow_from_inner_classes_too_and_never_from_one_that_does_not_differ():
    runs = [
        run(model="GAN", model_net="MLP", model_net_width=8, model_lr=1),
        run(model="GAN", model_net="CNN", model_net_width=16, model_lr=2),
        run(model="GAN", model_net="CNN", model_net_width=16, model_lr=3),
    ]
    notes: list[str] = []
    differing = ["model.net", "model.net.width", "model.lr"]
    assert without_consequences(differing, runs, notes) == ["model.net", "model.lr"]
    assert notes == ["Not shown, because each model.net has its own: model.net.width."]


def test_an_option_varies_alone_if_two_runs_differ_in_nothing_else():
    runs = [run(a=1, b=8, c=1), run(a=2, b=8, c=1), run(a=3, b=16, c=2)]
    assert [option for option in "abc" if varies_alone(option, list("abc"), runs)] == ["a"]
    assert varies_alone("b", ["b"], runs)


def test_a_metric_is_drawn_against_what_varies_alone(tmp_path):
    for name, latent_dim, width in (("a", 8, 32), ("b", 400, 32), ("c", 500, 64)):
        write_run(tmp_path / name, latent_dim=latent_dim, width=width)
    found = collect(tmp_path)
    assert found.options == ["model.latent_dim", "model.generator.width"]
    [plot] = found.plots
    assert (plot.option, plot.metric, plot.log_x) == ("model.latent_dim", "val/fid", True)


def test_options_with_the_same_values_are_one_unless_they_are_plotted():
    runs = [run(a=n, b=n, c=5) for n in (3, 4)]
    notes: list[str] = []
    assert without_twins(["a", "b", "c"], runs, notes) == ["a", "c"]
    assert notes == ["b always has the value of a and is not shown."]
    assert without_twins(["a", "b"], runs, [], plotted=["b"]) == ["b"]
    assert without_twins(["a", "b"], runs, [], plotted=["a", "b"]) == ["a", "b"]
    assert without_twins(["a", "b"], [*runs, run(a=3, b=4)], []) == ["a", "b"]


@pytest.mark.parametrize(
    ("values", "spans"),
    [
        ([1, 50], True),
        ([0.02, 0.5, 1], True),
        ([1, 49.9], False),
        ([0, 50], False),
        ([-1, 50], False),
        ([1, "many", 50], False),
    ],
)
def test_a_factor_of_fifty_takes_a_logarithmic_axis(values, spans):
    assert spans_decades([run(a=value) for value in values], "a") is spans
    assert not spans_decades([*(run(a=value) for value in values), run()], "a")


@pytest.mark.parametrize(
    ("metric", "result"),
    [
        ("val/accuracy", True),
        ("train/d_loss", True),
        ("train/samples_per_second", False),
        ("train/g_gradient_norm", False),
        ("train/kl_weight", False),
        ("train/learning_rate", False),
        ("val/weighted", True),  # whole words only
        ("norm/loss", True),  # of its own name only
    ],
)
def test_speeds_norms_weights_and_rates_are_no_results(metric, result):
    assert is_result(metric) is result


def test_a_detail_has_the_name_of_another_metric_before_an_underscore():
    assert is_detail("val/accuracy_7", ["val/accuracy"])
    assert not is_detail("val/accuracy", ["val/accuracy"])
    assert not is_detail("val/accuracy_7", ["test/accuracy", "val/acc"])


def test_metrics_stand_in_the_order_of_the_catalogue():
    names = ("zeta", "d_loss", "recall", "class_kl", "loss", "fid", "learning_rate", "fid_digits")
    found = main_metrics([Run("a", None, "complete", metrics=dict.fromkeys((f"val/{name}" for name in names), 1.0))])
    assert [(metric.name, metric.direction) for metric in found] == [
        ("val/fid", "minimize"),
        ("val/recall", "maximize"),
        ("val/class_kl", "minimize"),
        ("val/loss", "minimize"),
        ("val/d_loss", None),
        ("val/zeta", None),
    ]


def test_test_data_comes_before_validation_and_training():
    def splits(*metrics):
        return [m.name for m in main_metrics([Run("a", None, "complete", metrics={name: 1.0}) for name in metrics])]

    assert splits("train/loss", "val/loss", "test/loss") == ["test/loss"]
    assert splits("train/loss", "val/loss") == ["val/loss"]
    assert splits("train/loss", "loss") == ["loss", "train/loss"]
    assert splits("train/learning_rate") == []


def test_what_has_no_better_direction_comes_last_although_the_catalogue_has_it_earlier():
    found = main_metrics([Run("a", None, "complete", metrics={"val/kl": 1.0, "val/perplexity": 1.0})])
    assert [metric.name for metric in found] == ["val/perplexity", "val/kl"]
