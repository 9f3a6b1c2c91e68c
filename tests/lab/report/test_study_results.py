"""What a study's page takes from study.yaml, from results.csv and from the folders of its trials."""

import json

import pytest
import yaml

from lab.errors import UserError
from lab.report.collect import collect
from lab.report.collection import LABEL, Metric, Plot
from lab.report.study_results import read_study

STUDY = {
    "title": "Title",
    "question": " Why? ",
    "caption": "Caption",
    "command": "python cli.py study a.yaml",
    "quick": True,
    "versions": {"torch": 2.15},
    "record": ["val/loss", "val/d_loss", "val/accuracy"],
    "seeds": [0, 1],
    "plot": [{"x": "model.lr", "y": "val/accuracy", "log_x": True}, {"x": "model.width", "y": "val/loss"}],
}
COLUMNS = ["trial", "state", "run_dir", "seed", "model.lr", "model.width"]
COLUMNS += ["val/loss", "val/d_loss", "val/accuracy", "parameters", "seconds", "alarms", "error"]


def write(folder, rows, **changes):
    study = {key: value for key, value in {**STUDY, **changes}.items() if value is not None}
    (folder / "study.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    lines = [",".join(COLUMNS), *(",".join(map(str, row)) for row in rows)]
    (folder / "results.csv").write_text("\n".join(lines) + "\n")
    return folder


def row(trial, state="complete", run_dir="", seed=0, lr=0.1, width=8, results=("", "", "", "", "", "", "")):
    return [trial, state, run_dir, seed, lr, width, *results]


def test_the_page_is_described_by_study_yaml(tmp_path):
    found = collect(write(tmp_path, [row(0), row(1, width=16, lr=0.2)]))
    assert (found.kind, found.title, found.question, found.caption) == ("study", "Title", "Why?", "Caption")
    assert (found.command, found.quick, found.versions) == (STUDY["command"], True, {"torch": "2.15"})
    assert found.definition == (tmp_path / "study.yaml").read_text()
    assert found.plots == [Plot("model.lr", "val/accuracy", True), Plot("model.width", "val/loss", False)]
    assert found.options == ["model.lr", "model.width"]
    bare = dict.fromkeys(("title", "question", "caption", "command", "quick", "versions", "plot"))
    found = collect(write(tmp_path, [row(0), row(1)], **bare))
    assert (found.title, found.question, found.caption, found.command) == (tmp_path.name, None, None, None)
    assert (found.quick, found.versions, found.plots, found.options) == (False, {}, [], [])


def test_the_studys_direction_is_that_of_its_first_metric(tmp_path):
    rows, names = [row(0)], STUDY["record"]
    by_name = [Metric(names[0], "minimize"), Metric(names[1], None), Metric(names[2], "maximize")]
    assert read_study(write(tmp_path, rows)).metrics == by_name
    reversed_first = read_study(write(tmp_path, rows, direction="maximize")).metrics
    assert reversed_first == [Metric(names[0], "maximize"), *by_name[1:]]


def test_a_row_says_more_than_the_run_folder_where_both_do(tmp_path):
    run_dir = tmp_path / "trials" / "first"
    run_dir.mkdir(parents=True)
    (run_dir / "config.yaml").write_text("seed_everything: 9\n")
    (run_dir / "error.txt").write_text("Traceback")
    summary = {"metrics": {"val/loss": 9.0, "val/other": 4.0}, "seconds": 99.0, "parameters": {"network": 5}, "seed": 9}
    (run_dir / "summary.json").write_text(json.dumps(summary))
    rows = [
        row(3, "failed", "trials/first", 7, 1e-3, "wide", (0.5, "", 0.9, 77, 12.5, "", "OSError: full")),
        row(4, "running", "trials/first", "", 1e-3, ""),
    ]
    first, second = read_study(write(tmp_path, rows)).runs
    assert (first.trial, first.state, first.seed, first.name) == (3, "failed", 7, "first")
    assert first.settings == {"model.lr": 0.001, "model.width": "wide"}
    assert first.metrics == {"val/loss": 0.5, "val/other": 4.0, "val/accuracy": 0.9}
    assert (first.parameters, first.seconds, first.error) == ({"network": 5}, 12.5, "OSError: full")
    assert (second.state, second.seed, second.seconds, second.error) == ("running", 9, 99.0, "Traceback")
    assert (second.metrics["val/loss"], second.settings["model.width"]) == (9.0, "")


def test_a_trial_without_a_folder_has_what_its_row_says(tmp_path):
    rows = [
        row(0, "waiting"),
        row(1, "complete", "trials/gone", 2, results=(0.5, 1, 2, 77.0, 3, "", "")),
        row(2, "running", "trials/not_yet"),
    ]
    found = read_study(write(tmp_path, rows))
    assert [(run.name, run.state, run.seed) for run in found.runs] == [
        ("trial 0", "waiting", 0),
        ("gone", "complete", 2),
        ("not_yet", "running", 0),
    ]
    assert (found.runs[1].parameters, found.runs[1].seconds, found.runs[0].parameters) == ({"all": 77}, 3.0, {})
    assert found.notes == [
        "The folder trials/gone of a complete trial does not exist: its curves and pictures are missing."
    ]


def test_options_that_vary_are_compared_and_a_plotted_twin_stays(tmp_path):
    rows = [row(0, lr=1, width=1), row(1, lr=2, width=2)]
    assert read_study(write(tmp_path, rows)).options == ["model.lr", "model.width"]
    found = read_study(write(tmp_path, rows, plot=STUDY["plot"][1:]))
    assert (found.options, len(found.notes)) == (["model.width"], 1)
    assert read_study(write(tmp_path, [row(0), row(1, width=16)])).options == ["model.width"]


def test_named_settings_count_their_seeds(tmp_path):
    rows = [row(number, lr=number) for number in (0, 1, 2, 3, 4, 5)]
    found = read_study(write(tmp_path, rows, labels=["first", "second"]))
    assert found.options == [LABEL]
    names = [run.settings[LABEL] for run in found.runs]
    assert names == ["first", "first", "second", "second", "setting 2", "setting 2"]
    one_seed = read_study(write(tmp_path, rows[:2], labels=["first", "second"], seeds=None))
    assert [run.settings[LABEL] for run in one_seed.runs] == ["first", "second"]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["0,complete,,0,1,2,x,,,,,,", row(1)], r"results\.csv, line 2: could not convert"),
        (["0,complete", row(1)], r"results\.csv, line 2: 2 cells, expected 13"),
        ([row(0), row(1, "lost")], r"results\.csv, line 3: state is 'lost', expected one of complete, failed"),
        ([row("a"), row(1)], r"results\.csv, line 2: invalid literal"),
    ],
)
def test_a_damaged_line_of_results_is_named(tmp_path, lines, message):
    write(tmp_path, [line.split(",") if isinstance(line, str) else line for line in lines])
    with pytest.raises(UserError, match=message):
        read_study(tmp_path)


@pytest.mark.parametrize("missing", ["trial", "state", "run_dir"])
def test_a_table_without_the_columns_of_a_study_is_refused(tmp_path, missing):
    write(tmp_path, [row(0)])
    path = tmp_path / "results.csv"
    path.write_text(path.read_text().replace(missing, "other", 1))
    with pytest.raises(UserError, match=rf"results\.csv has no column {missing}: it is not the table of a study"):
        read_study(tmp_path)


@pytest.mark.parametrize(
    ("plot", "message"),
    [
        ({"x": "model.lr"}, "expected {x: option, y: metric}"),
        ({"x": "model.depth", "y": "val/loss"}, "plot has x: model.depth, which is not in results.csv; there are"),
        ({"x": "model.lr", "y": "val/f1"}, "plot has y: val/f1, which is not in results.csv; there are val/loss"),
    ],
)
def test_a_plot_of_what_is_not_there_is_refused(tmp_path, plot, message):
    with pytest.raises(UserError, match=message):
        read_study(write(tmp_path, [row(0)], plot=[plot]))
