"""Settings and what is averaged over their runs, on made-up runs."""

import math
from pathlib import Path

import pytest

from lab.report.collection import LABEL, Collection, Metric
from lab.report.runs import Artifact, Run
from lab.report.table import (
    Setting,
    Spread,
    decimals,
    group,
    ranking,
    short_names,
    show,
    show_duration,
    show_number,
    show_spread,
)

PICTURE, TEXT = Artifact(Path("a.png"), "a", None), Artifact(Path("a.txt"), "a", None)
DOWN, UP, NEITHER = Metric("loss", "minimize"), Metric("loss", "maximize"), Metric("loss", None)


def run(name="run", state="complete", **fields):
    return Run(name, None, state, **fields)


def setting(*runs, number=0):
    return Setting(number, {}, [str(number)], list(runs))


@pytest.mark.parametrize("state", ["failed", "pruned", "running", "waiting"])
def test_only_completed_runs_are_averaged_and_the_others_are_counted(state):
    lost = run(state=state, metrics={"loss": 9.0}, seconds=90.0)
    found = setting(run(metrics={"loss": 1.0}, seconds=10.0), lost, run(metrics={"loss": 5.0}, seconds=40.0), run())
    assert found.spread("loss") == Spread(3.0, pytest.approx(math.sqrt(8)), 2)
    assert found.seconds() == Spread(25.0, pytest.approx(math.sqrt(450)), 2)
    assert (found.count("complete"), found.count(state)) == (3, 1)
    assert found.spread("accuracy") is None


def test_the_shown_run_is_complete_if_it_can_be_and_has_files_if_it_can():
    bare, pruned, drawn, written = (
        run("bare"),
        run("pruned", "pruned", pictures=[PICTURE]),
        run("drawn", pictures=[PICTURE]),
        run("written", texts=[TEXT]),
    )
    assert setting(bare, pruned, drawn, written).shown() is drawn
    assert setting(bare, pruned, written, drawn).shown() is written
    assert setting(bare, pruned).shown() is pruned
    assert setting(bare, run("other")).shown() is bare


def test_parameters_are_those_of_the_first_run_that_knows_them():
    sizes = {"generator": 5, "generator_ema": 5, "discriminator": 3}
    assert setting(run(), run(parameters=sizes), run(parameters={"generator": 7})).parameters() == 8
    assert setting(run()).parameters() is None


def test_settings_are_ordered_by_their_values_and_seeds_stay_together():
    def trial(width, rate, name):
        return run(settings={"model.width": width, "model.lr": rate, "model.network": name})

    rows = [(64, 0.1, "b"), (8, 0.1, "b"), (64, 0.01, "b"), (8, 0.1, "b"), (8, 0.1, "a"), (8, "", "b")]
    runs = [trial(*row) for row in rows]
    options = ["model.width", "model.lr", "model.network"]
    settings = group(Collection("study", "title", runs, options))
    found = [tuple(s.values[option] for option in options) for s in settings]
    assert found == [(8, 0.1, "b"), (8, 0.1, "a"), (8, "", "b"), (64, 0.1, "b"), (64, 0.01, "b")]  # "" is no number
    assert [s.number for s in settings] == [0, 1, 2, 3, 4]
    assert [len(s.runs) for s in settings] == [2, 1, 1, 1, 1]
    assert [s.label for s in settings][1:3] == ["width 8, lr 0.1, network a", "width 8, network b"]
    numeric = Collection("study", "title", runs[:-1], options)
    assert [s.values["model.lr"] for s in group(numeric)] == [0.1, 0.1, 0.01, 0.1]


def test_without_options_there_is_one_setting_with_the_title():
    [found] = group(Collection("runs", "title", [run("a"), run("b")]))
    assert (found.label, len(found.runs)) == ("title", 2)


def test_a_named_setting_is_called_by_its_name_alone():
    settings = group(Collection("study", "title", [run(settings={LABEL: "small"})], [LABEL]))
    assert settings[0].label == "small"


@pytest.mark.parametrize(
    ("metric", "order"),
    [(DOWN, [1, 0, 3, 2, 4]), (UP, [3, 0, 1, 2, 4]), (NEITHER, [1, 0, 3, 2, 4]), (None, [0, 1, 2, 3, 4])],
)
def test_ranking_goes_from_best_to_worst_and_ends_with_those_without_a_value(metric, order):
    values = [2.0, 1.0, math.nan, 3.0, None]
    settings = [
        setting(run(metrics={} if value is None else {"loss": value}), number=number)
        for number, value in enumerate(values)
    ]
    assert [s.number for s in ranking(settings, metric)] == order


def test_short_names_are_whole_words():
    assert short_names(["model.lr", "model.end_lr"]) == {"model.lr": "lr", "model.end_lr": "end_lr"}
    names = short_names(["model", "data", "model.optimizer_g.lr", "model.optimizer_d.lr", "model.schedule.model"])
    assert list(names.values()) == ["model", "data", "optimizer_g.lr", "optimizer_d.lr", "schedule.model"]


def test_values_as_text():
    values = (None, True, False, 2e-4, 1e-5, 0.5, 3, "dcgan")
    assert [show(value) for value in values] == ["none", "yes", "no", "0.0002", "1e-05", "0.5", "3", "dcgan"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (9_999_999.4, "9,999,999"),
        (1e7, "1.000e+07"),
        (-2e7, "\N{MINUS SIGN}2.000e+07"),
        (1e-4, "0.0001000"),
        (0.99e-4, "9.900e\N{MINUS SIGN}05"),
        (0.123456, "0.1235"),
        (999.96, "1,000.0"),
        (7, "7"),
    ],
)
def test_numbers_have_four_digits(value, text):
    assert show_number(value) == text


@pytest.mark.parametrize(
    ("spreads", "places"),
    [
        ([], 0),
        ([Spread(1234.5, None, 1)], 0),
        ([Spread(1.5, None, 1)], 3),
        ([Spread(0.0125, None, 1)], 5),
        ([Spread(-0.0125, None, 1)], 5),
        ([Spread(500.0, 0.04, 2)], 3),
        ([Spread(500.0, 40.0, 2)], 0),
        ([Spread(0.5, 0.01, 2), Spread(0.5, 0.02, 2), Spread(0.5, 9.0, 2)], 3),  # by the median
        ([Spread(0.5, 1e-12, 2)], 8),
        ([Spread(math.nan, None, 2)], 0),
    ],
)
def test_decimals_of_a_column(spreads, places):
    assert decimals(spreads) == places


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (Spread(9_999_999.0, 1.0, 2), "9,999,999.0 ± 1.0"),
        (Spread(1e7, 1.0, 2), "1.0e+07"),
        (Spread(1.23e9, 1.0, 2), "1.2e+09"),
        (Spread(-1234.56, 7.89, 2), "\N{MINUS SIGN}1,234.6 ± 7.9"),
        (Spread(math.nan, None, 2), "nan"),
    ],
)
def test_means_with_their_deviations(found, text):
    assert show_spread(found, 1) == text


def test_an_hour_is_an_hour():
    assert [show_duration(seconds) for seconds in (59.4, 60, 3599, 3600)] == [
        *("59 s", "1 min 0 s", "59 min 59 s", "1 h 0 min"),
    ]
