"""What the report page computes: means over seeds, the best, curves, and how numbers are written."""

import json
import math

import pytest

from lab.report import charts, option_charts
from lab.report.collect import collect
from lab.report.collection import Metric
from lab.report.compare import main_metrics
from lab.report.runs import Curve, Run
from lab.report.table import best, decimals, group, short_names, show_duration, show_number, show_spread, spread
from lightning_models.metrics.catalogue import direction_of
from tests.lab.study_folders import rewrite, write_study


def test_spread_is_the_sample_standard_deviation():
    found = spread([1.0, 2.0, 4.0])
    assert found.mean == pytest.approx(7 / 3)
    assert found.deviation == pytest.approx(math.sqrt(7 / 3))
    assert spread([5.0]).deviation is None
    assert spread([]) is None
    assert math.isnan(spread([1.0, math.inf]).mean)


def test_only_complete_trials_are_averaged(study):
    ten, twenty, fifty = group(collect(study))
    assert (ten.spread("val/fid").count, twenty.spread("val/fid").count, fifty.spread("val/fid").count) == (1, 2, 1)
    level = 30 + 20 * math.log2(32 / 20)
    assert twenty.spread("val/fid").mean == pytest.approx(level + 8 * math.log2(32 / 30) + 1.5)
    assert twenty.spread("val/fid").deviation == pytest.approx(3 / math.sqrt(2))


@pytest.mark.parametrize(("direction", "winner"), [("minimize", 0), ("maximize", 2)])
def test_best_respects_the_direction(tmp_path, direction, winner):
    write_study(tmp_path, failing=False, direction=direction)
    rewrite(tmp_path / "results.csv", "val/fid", [1, 2, 3, 4, 5, 6])
    found = collect(tmp_path)
    assert best(group(found), found.metrics[0]) == {winner}


def test_a_tie_has_two_best_and_nan_is_never_best(tmp_path):
    write_study(tmp_path, latent_dims=(10, 20, 50, 100), failing=False)
    rewrite(tmp_path / "results.csv", "val/fid", [3, 1, 2, 2, "nan", 0, 5, 5])
    found = collect(tmp_path)
    assert best(group(found), found.metrics[0]) == {0, 1}


def test_nothing_is_best_where_all_are_equal(tmp_path):
    write_study(tmp_path, failing=False)
    rewrite(tmp_path / "results.csv", "val/fid", [1, 1, 0, 2, 1, 1])
    found = collect(tmp_path)
    assert best(group(found), found.metrics[0]) == set()


def test_nothing_is_best_where_neither_more_nor_less_is_better(study):
    assert best(group(collect(study)), Metric("train/g_loss", None)) == set()


def test_parts_of_a_metric_are_not_compared():
    runs = [Run("run", None, "complete", metrics={"val/accuracy": 0.9, "val/accuracy_7": 0.5, "val/loss": 0.1})]
    assert [metric.name for metric in main_metrics(runs)] == ["val/accuracy", "val/loss"]


@pytest.mark.parametrize(
    ("metric", "direction"),
    [
        ("val/fid", "minimize"),
        ("val/nats_per_char", "minimize"),
        ("val/accuracy", "maximize"),
        ("val/elbo", "maximize"),
        ("train/d_loss", None),
        ("train/d_accuracy_real", None),
        ("val/kl", None),
    ],
)
def test_direction_by_the_name(metric, direction):
    assert direction_of(metric) == direction


def test_numbers_are_written_alike_in_a_column():
    column = [spread([66.1, 67.9]), spread([9.123, 9.5]), spread([1.0])]
    assert decimals(column) == 2
    assert [show_spread(found, 2) for found in column] == ["67.00 ± 1.27", "9.31 ± 0.27", "1.00"]
    minus = "\N{MINUS SIGN}"
    assert [show_number(x) for x in (-1.33369, 31257.7, 0.0, 2e-5, math.nan, 3.0, -math.inf)] == [
        f"{minus}1.334",
        "31,258",
        "0",
        f"2.000e{minus}05",
        "nan",
        "3",
        f"{minus}∞",
    ]
    assert [show_duration(s) for s in (1.64, 59, 125, 11_520)] == ["1.6 s", "59 s", "2 min 5 s", "3 h 12 min"]


def test_short_names_tell_options_apart():
    names = short_names(["model.latent_dim", "model.generator.width", "model.discriminator.width"])
    assert list(names.values()) == ["latent_dim", "generator.width", "discriminator.width"]


def test_the_mean_curve_covers_the_batches_that_all_seeds_share():
    mean = charts.mean_curve([Curve([10, 20, 30], [1.0, 2.0, 3.0]), Curve([10, 20], [3.0, 4.0])])
    assert mean == Curve([10, 20], [2.0, 3.0])
    assert charts.mean_curve([Curve([10], [1.0]), Curve([20], [1.0])]) is None


def test_long_curves_are_averaged_in_equal_parts():
    curve, every = charts.thinned(Curve(list(range(10)), [float(x) for x in range(10)]), 4)
    assert every == 3
    assert curve.values == [1.0, 4.0, 7.0, 9.0]
    assert curve.steps == [1, 4, 7, 9]


def test_one_diverged_value_does_not_flatten_a_chart():
    values = [1 + x / 1000 for x in range(1000)]
    low, high = charts.without_outliers([*values, 1e9])
    assert low == 1.0
    assert 1.9 < high < 2.5
    assert charts.without_outliers(values) == (1.0, 1.999)


def test_two_options_make_lines_and_a_heat_map(tmp_path):
    write_study(tmp_path, widths=(16, 32, 64), seeds=(0,), failing=False)
    found = collect(tmp_path)
    settings = group(found)
    lines, heat = option_charts.against_options(found, settings, charts.colours(settings, found))
    assert [json.loads(lines.figure)["data"][i]["name"] for i in (0, 2, 4)] == ["width 16", "width 32", "width 64"]
    assert json.loads(lines.figure)["layout"]["xaxis"]["type"] == "log"
    heat_map = json.loads(heat.figure)["data"][0]
    assert (heat_map["x"], heat_map["y"]) == (["10", "20", "50"], ["16", "32", "64"])
    assert heat_map["z"][1][2] == pytest.approx(settings[7].spread("val/fid").mean)


def test_many_settings_leave_colour_to_the_best(tmp_path):
    write_study(tmp_path, latent_dims=(10, 20, 50, 100), widths=(16, 32, 64), seeds=(0,), failing=False)
    found = collect(tmp_path)
    settings = group(found)
    shades = charts.colours(settings, found)
    assert shades.count(charts.GREY) == 4
    assert len(set(shades) - {charts.GREY}) == 8
    assert shades[best(settings, found.metrics[0]).pop()] == charts.NAMED[0]


def test_the_outermost_hundredth_of_each_side_is_cut_off():
    """Of 95 regular values and five far ones the latter stay; of 995 and five they are outliers."""
    regular = [1 + x / 1000 for x in range(95)]
    assert charts.without_outliers([*regular, *[100.0] * 5]) == (1.0, 100.0)
    assert charts.without_outliers([*regular * 10, *[100.0] * 5])[1] < 1.2
