"""What the figures hold: every line's values, colour, name and group."""

import json

import pytest

from lab.report import charts
from lab.report.charts import GREY, NAMED, SCALE, colours, curves_of, learning_curves, on_scale, run_label, thinned
from lab.report.collection import Collection, Metric, Plot
from lab.report.option_charts import against_option, against_options, fits_as_ticks, heat_map, option_axis
from lab.report.runs import Curve, Run
from lab.report.table import Setting, group


def run(seed=0, state="complete", curve=None, metrics=None, **settings):
    curves = {} if curve is None else {"loss": curve}
    return Run(f"run {seed}", None, state, seed=seed, settings=settings, curves=curves, metrics=metrics or {})


def collection(runs, *options, **fields):
    return Collection("study", "title", list(runs), list(options), [Metric("loss", "minimize")], **fields)


def lines(chart):
    return json.loads(chart.figure)["data"]


# ---------------------------------------------------------------------------------------------------- learning curves


@pytest.fixture
def settings():
    """Two settings: one with two complete seeds and one that runs, one with a single seed."""
    runs = [
        run(0, curve=Curve([9, 19, 29], [1.0, 2.0, 4.123456]), width=8),
        run(1, curve=Curve([9, 19], [3.0, 6.0]), width=8),
        run(2, "running", curve=Curve([9, 19], [100.0, 100.0]), width=8),
        run(0, curve=Curve([9, 19], [7.0, float("nan")]), width=16),
    ]
    return group(collection(runs, "width"))


def test_each_run_has_a_line_and_complete_seeds_a_mean(settings):
    found = lines(curves_of("loss", settings, ["red", "blue"]))
    assert [(line["name"], line["x"], line["y"]) for line in found] == [
        ("width 8, seed 0", [9, 19, 29], [1.0, 2.0, 4.1235]),
        ("width 8, seed 1", [9, 19], [3.0, 6.0]),
        ("width 8, seed 2 (running)", [9, 19], [100.0, 100.0]),
        ("width 8, mean of 2 seeds", [9, 19], [2.0, 4.0]),
        ("width 16, seed 0", [9, 19], [7.0, None]),
    ]
    assert [line["line"]["color"] for line in found] == ["red"] * 4 + ["blue"]
    assert [line["legendgroup"] for line in found] == ["0"] * 4 + ["1"]
    assert [line["line"]["width"] for line in found] == [1, 1, 1, 2.6, 1.8]
    assert [line["line"].get("dash") for line in found] == ["solid", "solid", "dot", None, "solid"]
    assert {line["mode"] for line in found} == {"lines"}


def test_grey_lines_lie_below_coloured_ones(settings):
    found = lines(curves_of("loss", settings, ["red", GREY]))
    assert [line["line"]["color"] for line in found] == [GREY] + ["red"] * 4


def test_an_outlier_is_cut_off_vertically_and_said():
    values = [1 + x / 1000 for x in range(1000)]
    straight = curves_of("loss", [Setting(0, {}, ["a"], [run(curve=Curve(list(range(1000)), values))])], ["red"])
    assert "range" not in json.loads(straight.figure)["layout"].get("yaxis", {})
    assert straight.note == ""
    diverged = Curve(list(range(1000)), [*values[:-1], 1e9])
    chart = curves_of("loss", [Setting(0, {}, ["a"], [run(curve=diverged)])], ["red"])
    layout = json.loads(chart.figure)["layout"]
    low, high = layout["yaxis"]["range"]
    assert (low, high < 3) == (1.0, True)
    assert "range" not in layout["xaxis"]
    assert chart.note.endswith("The largest outliers lie outside; a double click shows all.")


def test_long_curves_are_thinned_the_more_the_more_there_are():
    long = Curve(list(range(10_000)), [0.0] * 10_000)
    for count, points in ((1, 1000), (12, 500), (100, 100)):
        runs = [Setting(0, {}, ["a"], [run(seed, "running", curve=long) for seed in range(count)])]
        chart = curves_of("loss", runs, ["red"])
        assert len(lines(chart)[0]["x"]) == points
        assert chart.note == f"Long curves are drawn as means of up to {10_000 // points} logged values."
    assert thinned(Curve([1, 2], [3.0, 4.0]), 2) == (Curve([1, 2], [3.0, 4.0]), 1)


def test_many_runs_are_drawn_fainter_than_their_means():
    curve = Curve([1, 2], [0.0, 1.0])
    for count, opacity in ((12, 0.45), (13, 0.28)):
        runs = [Setting(0, {}, ["a"], [run(seed, curve=curve) for seed in range(count)])]
        found = lines(curves_of("loss", runs, ["red"]))
        assert [found[0]["opacity"], found[-1]["opacity"]] == [opacity, 1.0]


def test_a_chart_is_drawn_of_what_was_logged_twice_and_is_flat_where_it_says_little():
    def curves(**values):
        return {name: Curve(list(range(len(v))), v) for name, v in values.items()}

    logged = curves(once=[1.0], constant=[2.0, 2.0], speed_second=[1.0, 2.0], loss_7=[1.0, 2.0], loss=[1.0, 2.0])
    found = learning_curves([Setting(0, {}, ["a"], [Run("a", None, "complete", curves=logged)])], ["red"])
    assert {name: chart.flat for name, chart in found.items()} == {
        "constant": True,
        "speed_second": True,
        "loss": False,
        "loss_7": False,
    }
    assert list(found)[-1] == "loss_7"  # details last


def test_a_run_is_labelled_by_setting_seed_and_state():
    plain, varied = Setting(0, {}, ["title"], []), Setting(0, {"width": 8}, ["width 8"], [])
    assert run_label(varied, run(3, "pruned")) == "width 8, seed 3 (pruned)"
    assert run_label(plain, run(3)) == "seed 3"
    assert run_label(plain, Run("name", None, "complete")) == "name"


# ------------------------------------------------------------------------------------------------------------ colours


def test_a_numeric_option_is_coloured_by_an_ordered_scale():
    settings = group(collection([run(width=width) for width in (32, 8, 16)], "width"))
    assert colours(settings, collection([], "width")) == [SCALE[0], on_scale(0.5), SCALE[-1]]
    assert on_scale(0.2) == SCALE[1]
    assert on_scale(0.1) == "#4c64c8"  # half-way between the first two


def test_other_settings_have_colours_of_their_own_and_beyond_eight_the_best_have():
    def of(count):
        runs = [run(width=f"w{n}", metrics={"loss": float(-n)}) for n in range(count)]
        found = collection(runs, "width")
        return colours(group(found), found)

    assert of(8) == list(NAMED)
    assert of(10) == [GREY, GREY, *reversed(NAMED)]  # the last has the lowest loss


# ------------------------------------------------------------------------------------------------- against an option


def study():
    """Widths 8, 16 and 32 with two rates each; two seeds, of which one is not complete."""
    runs = []
    for width in (8, 16, 32):
        for rate in (0.1, 0.2, 0.3):
            runs.append(run(0, metrics={"loss": width + rate}, **{"model.width": width, "model.lr": rate}))
            runs.append(run(1, metrics={"loss": width + rate + 2}, **{"model.width": width, "model.lr": rate}))
            runs.append(run(2, "pruned", metrics={"loss": 99.0}, **{"model.width": width, "model.lr": rate}))
    return collection(runs, "model.width", "model.lr", plots=[Plot("model.width", "loss", True)])


def test_each_complete_trial_is_a_point_and_lines_go_through_the_means():
    found = study()
    chart = against_option(found.plots[0], found, group(found), ["red"] * 9)
    assert chart.title == "loss against width"
    data, layout = lines(chart), json.loads(chart.figure)["layout"]
    assert [line.get("name") for line in data] == ["lr 0.1", None, "lr 0.2", None, "lr 0.3", None]
    mean, points = data[2], data[3]
    assert (mean["x"], mean["y"]) == ([8, 16, 32], pytest.approx([9.2, 17.2, 33.2]))
    assert (points["x"], points["y"]) == ([8, 8, 16, 16, 32, 32], pytest.approx([8.2, 10.2, 16.2, 18.2, 32.2, 34.2]))
    assert points["text"][1] == "width 8, lr 0.2, seed 1"
    assert [line["line"]["color"] for line in data[::2]] == [on_scale(0), on_scale(0.5), on_scale(1)]
    assert (layout["xaxis"]["type"], layout["xaxis"]["title"]["text"], layout["showlegend"]) == ("log", "width", True)


def test_of_names_the_means_are_bars_and_not_connected():
    runs = [
        run(seed, metrics={"loss": level + seed}, cell=cell)
        for cell, level in (("lstm", 1), ("gru", 5))
        for seed in (0, 2)
    ]
    found = collection(runs, "cell")
    bars, points = lines(against_option(Plot("cell", "loss"), found, group(found), ["red", "blue"]))
    assert (bars["mode"], bars["x"], bars["y"]) == ("markers", ["lstm", "gru"], [2.0, 6.0])
    assert bars["marker"]["symbol"] == "line-ew-open"
    assert points["marker"]["color"] == ["red", "red", "blue", "blue"]


def test_with_several_other_options_points_stand_alone_and_a_note_says_why():
    runs = [run(metrics={"loss": n}, a=n, b=n % 2, c=n // 2) for n in range(4)]
    found = collection(runs, "a", "b", "c")
    chart = against_option(Plot("a", "loss"), found, group(found), ["red"] * 4)
    assert [line["mode"] for line in lines(chart)] == ["markers"]
    assert chart.note == "A point is a trial; the trials differ in other options, too."


def test_a_single_value_needs_no_chart():
    found = collection([run(metrics={"loss": 1.0}, a=1), run(metrics={"loss": float("nan")}, a=2)], "a")
    assert against_option(Plot("a", "loss"), found, group(found), ["red"] * 2) is None


@pytest.mark.parametrize(
    ("values", "wants_log", "kind", "notes"),
    [
        ([1, 10, 100], True, "log", 0),
        ([1, 10, 100], False, None, 0),
        ([0, 10, 100], True, None, 1),
        (["a", "b"], True, "category", 0),
    ],
)
def test_the_axis_of_an_option(values, wants_log, kind, notes):
    figure = charts.go.Figure()
    assert len(option_axis(figure, values, wants_log)) == notes
    assert figure.layout.xaxis.type == kind


@pytest.mark.parametrize(
    ("values", "log", "fits"),
    [
        ([1.0, 2.0, 3.0], False, True),
        ([float(n) for n in range(8)], False, True),
        ([float(n) for n in range(9)], False, False),
        ([1.0, 2.0, 100.0], False, False),
        ([1.0, 2.0, 100.0], True, True),
        ([0.0, 9.0, 100.0], False, True),
        ([0.0, 8.9, 100.0], False, False),
    ],
)
def test_labels_fit_unless_they_are_many_or_close(values, log, fits):
    assert fits_as_ticks(values, log) is fits


def test_a_heat_map_has_a_mean_for_each_pair():
    found = study()
    chart = heat_map(Metric("loss", "minimize"), "model.width", "model.lr", group(found))
    heat, layout = lines(chart)[0], json.loads(chart.figure)["layout"]
    assert (heat["x"], heat["y"]) == (["8", "16", "32"], ["0.1", "0.2", "0.3"])
    assert heat["z"][0] == pytest.approx([9.1, 17.1, 33.1])
    assert heat["z"][2] == pytest.approx([9.3, 17.3, 33.3])
    assert (layout["xaxis"]["title"]["text"], layout["yaxis"]["title"]["text"]) == ("width", "lr")
    assert (heat["reversescale"], chart.title) == (True, "loss over width and lr")
    up = heat_map(Metric("loss", "maximize"), "model.width", "model.lr", group(found))
    assert lines(up)[0]["reversescale"] is False
    assert up.note.startswith("Brighter is better.")
    neither = heat_map(Metric("loss", None), "model.width", "model.lr", group(found))
    assert neither.note.startswith("Means over seeds")


def test_a_heat_map_needs_three_numbers_of_both_options():
    few = collection([run(metrics={"loss": 1.0}, a=a, b=b) for a in (1, 2, 3) for b in (1, 2)], "a", "b")
    assert heat_map(Metric("loss", None), "a", "b", group(few)) is None
    names = collection([run(metrics={"loss": 1.0}, a=a, b=b) for a in (1, 2, 3) for b in "xyz"], "a", "b")
    assert heat_map(Metric("loss", None), "a", "b", group(names)) is None


def test_a_study_of_two_options_has_one_heat_map_for_each_plotted_metric():
    found = study()
    found.plots.append(Plot("model.lr", "loss"))
    drawn = against_options(found, group(found), ["red"] * 9)
    assert [chart.title for chart in drawn] == ["loss against width", "loss over width and lr", "loss against lr"]
