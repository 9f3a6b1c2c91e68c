"""What the report page reads, computes and says; the browser's view of it is in test_report_in_browser.py."""

import json
import math
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

import cli
from studies.report import charts
from studies.report.album import heading, spaced
from studies.report.collect import Metric, collect, direction_of, main_metrics
from studies.report.page import breakable, render, write_page
from studies.report.pictures import block_size, embed, largest_side
from studies.report.runs import Curve, Run, flat, read_run
from studies.report.table import best, decimals, group, short_names, show_duration, show_number, show_spread, spread
from tests.studies.study_folders import write_run, write_study

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Latent sizes 10, 20, 50 with two seeds; the second seed of 10 failed, that of 50 was pruned."""
    return write_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def page(study):
    """Its page, without plotly's script."""
    return without_plotly(render(collect(study)))


def without_plotly(html):
    return re.sub(r"<script>/\*\*.*?</script>", "", html, flags=re.DOTALL)


class Rows(HTMLParser):
    """The rows of the first sortable table, as lists of (text, classes)."""

    def __init__(self, html):
        super().__init__()
        self.rows, self.inside, self.done = [], False, False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        classes = dict(attrs).get("class") or ""
        if tag == "table" and "sortable" in classes and not self.done:
            self.inside = True
        elif self.inside and tag == "tr":
            self.rows.append([])
        elif self.inside and tag in ("td", "th"):
            self.rows[-1].append(["", classes])

    def handle_endtag(self, tag):
        if tag == "table" and self.inside:
            self.inside, self.done = False, True

    def handle_data(self, data):
        if self.inside and self.rows and self.rows[-1]:
            self.rows[-1][-1][0] += data


def sections(html):
    return re.findall(r"<h2>(.*?)</h2>", html)


# What is read.


def test_a_study_is_read_with_its_trials(study):
    found = collect(study)
    assert (found.kind, found.title) == ("study", "GAN on digits: size of the latent space")
    assert found.options == ["model.latent_dim"]
    assert found.metrics == [Metric("val/fid", "minimize"), Metric("val/recall", "maximize")]
    assert [run.state for run in found.runs] == ["complete", "failed", "complete", "complete", "complete", "pruned"]
    assert found.runs[0].settings == {"model.latent_dim": 10}
    assert found.runs[0].curves["train/d_loss"].steps == list(range(9, 200, 10))
    assert found.runs[0].curves["val/fid"].steps == list(range(19, 200, 20))  # empty cells are no values
    assert found.runs[0].total_parameters == 10_000 + 33_761  # without the moving average
    assert found.runs[5].alarms[0].message == "All samples are alike."


def test_a_folder_of_runs_is_compared_by_the_options_in_which_they_differ(tmp_path):
    for latent_dim, seed in ((10, 0), (10, 1), (20, 0)):
        write_run(tmp_path / "gan" / f"{latent_dim}-{seed}", latent_dim=latent_dim, seed=seed, level=latent_dim + seed)
    found = collect(tmp_path)
    assert [run.name for run in found.runs] == ["gan/10-0", "gan/10-1", "gan/20-0"]
    assert found.options == ["model.latent_dim"]  # neither the seed nor run_dir
    assert [len(setting.runs) for setting in group(found)] == [2, 1]
    assert [metric.name for metric in found.metrics] == ["val/fid", "val/recall"]


def test_what_was_measured_after_training_belongs_to_the_run(tmp_path):
    run = write_run(tmp_path / "run")
    (run / "test").mkdir()
    (run / "test" / "summary.json").write_text(json.dumps({"metrics": {"test/fid": 12.5}}))
    found = collect(run)
    assert found.runs[0].metrics["test/fid"] == 12.5
    assert [metric.name for metric in found.metrics] == ["test/fid"]


def test_a_run_without_summary_is_still_running_or_was_stopped(tmp_path):
    run = read_run(write_run(tmp_path / "run", finished=False), "run", [])
    assert run.state == "running"
    html = render(collect(tmp_path / "run"))
    assert "no summary.json" in html


def test_options_by_their_command_line_names():
    config = {
        "model": {"class_path": "a.b.GAN", "init_args": {"latent_dim": 4, "optimizer": {"class_path": "torch.Adam"}}},
        "data": {"class_path": "c.Digits", "init_args": {"betas": [0.5, 0.9]}},
    }
    assert flat(config) == {
        "model": "GAN",
        "model.latent_dim": 4,
        "model.optimizer": "Adam",
        "data": "Digits",
        "data.betas": "0.5, 0.9",
    }


# What is computed.


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
    write_study(tmp_path, failing=False)
    rewrite(tmp_path / "results.csv", "val/fid", [3, 1, 2, 2, "nan", 0])
    found = collect(tmp_path)
    assert best(group(found), found.metrics[0]) == {0, 1}


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
    assert [show_number(x) for x in (-1.33369, 31257.7, 0.0, 2e-5, math.nan)] == [
        f"{minus}1.334",
        "31,258",
        "0",
        f"2.000e{minus}05",
        "nan",
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


# Pictures.


def test_enlarged_pixels_become_single_again(tmp_path):
    small = Image.effect_noise((12, 8), 90).convert("RGB")
    small.resize((60, 40), Image.Resampling.NEAREST).save(tmp_path / "x.png")
    picture = embed(tmp_path / "x.png", 480)
    assert (picture.width, picture.height, picture.sharp) == (12, 8, True)
    assert picture.uri.startswith("data:image/png;base64,")


def test_large_pictures_are_made_smaller(tmp_path):
    Image.effect_noise((900, 300), 90).save(tmp_path / "x.png")
    picture = embed(tmp_path / "x.png", 480)
    assert (picture.width, picture.height, picture.sharp) == (480, 160, False)
    assert picture.uri.startswith("data:image/webp;base64,")
    assert len(picture.uri) < 60_000


def test_block_size_of_unequal_pixels_is_one():
    import numpy as np

    assert block_size(np.arange(48, dtype=np.uint8).reshape(4, 4, 3)) == 1
    assert block_size(np.full((6, 12, 3), 7, dtype=np.uint8)) == 6


def test_more_pictures_are_smaller_ones():
    assert [largest_side(count) for count in (1, 24, 25, 80, 200, 1000)] == [720, 720, 480, 480, 320, 220]


def test_times_are_evenly_spread_with_first_and_last():
    assert spaced(list(range(0, 101, 10)), 5) == [0, 20, 50, 80, 100]
    assert spaced([3, 7], 5) == [3, 7]


def test_names_break_between_words():
    assert breakable("val/d_top_<b>") == "val/<wbr>d_top_<wbr>&lt;b&gt;"


def test_headings_of_pictures():
    assert [heading(name) for name in ("grid", "confusion_matrix", "val_confusion", "something_new")] == [
        "Samples",
        "Confusion matrices",
        "Confusion matrices: val confusion",
        "Something new",
    ]


# The page.


def test_the_page_of_a_study_has_all_sections(page):
    assert sections(page) == [
        "Results",
        "Metrics against hyper-parameters",
        "Learning curves",
        "Samples",
        "Interpolations",
        "Confusion matrices",
        "Generated text",
        "Alarms",
        "Not completed",
        "How this was made",
    ]
    assert "How many latent dimensions does the generator need?" in page
    assert "python cli.py study configs/studies/report4/latent.yaml --quick" in page
    assert "torch 2.11.0" in page
    assert "4 complete, 1 failed, 1 pruned" in " ".join(page.split())


def test_the_best_is_bold_and_the_lost_trials_are_named(page):
    header, *rows = Rows(page).rows
    assert [cell[0].split()[0] for cell in header] == [
        "latent_dim",
        "val/fid",
        "val/recall",
        "parameters",
        "time",
        "trials",
    ]
    assert [["best" in classes for _, classes in row[1:3]] for row in rows] == [
        [False, False],
        [False, False],
        [True, True],
    ]
    assert [" ".join(row[-1][0].split()) for row in rows] == ["1 of 2 failed", "2", "1 of 2 pruned 1 alarm"]
    assert "±" in rows[1][1][0]
    assert "±" not in rows[0][1][0]  # a single complete seed has no spread


def test_sections_without_content_do_not_appear(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.yaml").write_text("seed_everything: 3\n")
    (run / "metrics.csv").write_text("epoch,step,train/loss\n0,1,2.0\n")
    (run / "summary.json").write_text("{}")
    html = render(collect(run))
    assert sections(html) == ["How this was made"]
    assert len(html) < 100_000  # no chart, no plotly


def test_the_page_needs_nothing_from_elsewhere(page):
    assert re.findall(r'(?:src|href)="(?!data:|#)[^"]*"', page) == []


def test_what_users_write_is_text_and_not_html(tmp_path):
    evil = "</script><script>alert('x')</script><b>&"
    write_study(tmp_path, title=evil, caption=evil, question=evil)
    rewrite(tmp_path / "results.csv", "error", [evil] * 6)
    rewrite(tmp_path / "results.csv", "model.latent_dim", [evil, evil, 1, 1, 2, 2])
    html = render(collect(tmp_path))
    assert "alert('x')" not in without_plotly(html)
    assert "<b>" not in without_plotly(html)
    assert html.count("&lt;/script&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;") > 8


def test_two_options_make_lines_and_a_heat_map(tmp_path):
    write_study(tmp_path, widths=(16, 32, 64), seeds=(0,), failing=False)
    found = collect(tmp_path)
    settings = group(found)
    lines, heat = charts.against_options(found, settings, charts.colours(settings, found))
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


# The command.


def test_the_command_writes_one_file_and_says_where(study, capsys):
    cli.main(["report", str(study)])
    assert re.fullmatch(rf"{re.escape(str(study))}/report.html: \d\.\d MB\n", capsys.readouterr().out)
    assert (study / "report.html").stat().st_size > 4_000_000  # plotly, once
    assert not (study / "report.part").exists()
    assert write_page(study) == study / "report.html"  # again: the old page is replaced


def test_the_command_does_not_import_torch():
    code = "import sys, commands.report; sys.exit(any(name in sys.modules for name in ('torch', 'pytorch_lightning')))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def explained(folder, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["report", str(folder)])
    assert stopped.value.code == 2
    text = capsys.readouterr().err
    assert text.startswith("error: ")
    assert text.count("\n") == 1
    return text


def rewrite(path, column, values):
    """Replace a column of a CSV file."""
    import csv

    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row, value in zip(rows, values, strict=True):
        row[column] = value
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def test_folders_without_a_run(tmp_path, capsys):
    assert "holds no run: expected config.yaml" in explained(tmp_path, capsys)
    (tmp_path / "notes").mkdir()
    assert "found notes" in explained(tmp_path, capsys)
    assert "does not exist: give the folder" in explained(tmp_path / "nowhere", capsys)
    (tmp_path / "file").write_text("")
    assert "file is a file: give the folder" in explained(tmp_path / "file", capsys)


def test_no_folder_at_all(capsys):
    with pytest.raises(SystemExit):
        cli.main(["report"])
    assert "DIR" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("metrics.csv", "epoch,step,a\n0,x,1\n0,2,1\n", r"metrics.csv, line 2: invalid literal"),
        ("metrics.csv", "epoch,step,a\n0,1\n0,2,1\n", r"metrics.csv, line 2: 2 cells, expected 3"),
        ("metrics.csv", "\x00\x01\x02", r"metrics.csv has no column 'step'"),
        ("summary.json", '{"metrics": ', r"summary.json is not JSON \("),
        ("summary.json", "[1]", r"summary.json holds a list, expected an object"),
        (
            "summary.json",
            '{"metrics": {"val/fid": "low"}}',
            r"summary.json: metrics.val/fid is 'low', expected a number",
        ),
        ("summary.json", '{"seconds": "long"}', r"summary.json: seconds is 'long', which no run writes there"),
        ("alarms.json", '{"name": 1}', r"alarms.json: expected a list of alarms"),
        ("config.yaml", "model: [", r"config.yaml is not YAML: "),
        ("samples/grid-0000000.png", "PNG", r"grid-0000000.png is not a picture"),
    ],
)
def test_a_corrupt_file_is_named(tmp_path, capsys, file, content, message):
    run = write_run(tmp_path / "run")
    (run / file).write_text(content)
    assert re.search(message, explained(run, capsys))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"direction": "up"}, "study.yaml: direction is 'up', expected minimize or maximize"),
        ({"record": "val/fid"}, "study.yaml: record is 'val/fid', expected a list of names"),
        ({"plot": [{"x": "model.depth", "y": "val/fid"}]}, "plot has x: model.depth, which results.csv has not"),
        ({"plot": ["val/fid"]}, "plot has 'val/fid', expected {x: option, y: metric}"),
    ],
)
def test_mistakes_in_a_study(tmp_path, capsys, changes, message):
    write_study(tmp_path, latent_dims=(10,), seeds=(0,), failing=False, **changes)
    assert message in explained(tmp_path, capsys)


def test_a_study_that_was_not_run(tmp_path, capsys):
    write_study(tmp_path, latent_dims=(10,), seeds=(0,), failing=False)
    header = (tmp_path / "results.csv").read_text().splitlines()[0]
    (tmp_path / "results.csv").write_text(header + "\n")
    assert "results.csv has no trial yet" in explained(tmp_path, capsys)
    (tmp_path / "results.csv").unlink()
    assert "results.csv does not exist: the study" in explained(tmp_path, capsys)


def test_rows_that_are_being_written_are_left_out_and_said(tmp_path):
    write_study(tmp_path, failing=False)
    results = tmp_path / "results.csv"
    results.write_text(results.read_text()[:-40])
    metrics = next(tmp_path.glob("trials/0000*/metrics.csv"))
    metrics.write_text(metrics.read_text() + "9,200,0.")
    found = collect(tmp_path)
    assert len(found.runs) == 5
    assert found.notes == [
        "The last line of 0000-latent_dim=10-seed=0/metrics.csv is incomplete and was left out.",
        "The last line of results.csv is incomplete and was left out.",
    ]
    assert "results.csv is incomplete" in render(found)


def test_a_state_that_is_none(tmp_path, capsys):
    write_study(tmp_path, latent_dims=(10,), seeds=(0, 1), failing=False)
    rewrite(tmp_path / "results.csv", "state", ["done", "complete"])
    assert "results.csv, line 2: state is 'done', expected one of complete, failed" in explained(tmp_path, capsys)


def test_running_and_waiting_trials_have_their_place(tmp_path):
    write_study(tmp_path, failing=False)
    rewrite(tmp_path / "results.csv", "state", ["complete", "complete", "running", "complete", "waiting", "waiting"])
    rewrite(tmp_path / "results.csv", "run_dir", [f"trials/none-{n}" for n in range(4)] + ["", ""])
    found = collect(tmp_path)
    assert [run.state for run in found.runs][2:] == ["running", "complete", "waiting", "waiting"]
    assert "0003" not in found.notes[0]
    assert "trials/none-0 of a complete trial is gone" in found.notes[0]
    assert "1 running, 2 waiting" in " ".join(render(found).split())


def test_a_study_that_names_its_settings_shows_the_names_in_place_of_options(tmp_path):
    settings = [{"model.latent_dim": size} for size in (10, 20, 50)]
    folder = write_study(tmp_path / "study", list=settings, labels=["small", "medium", "large"])
    grouped = group(collect(folder))
    assert [setting.label for setting in grouped] == ["small", "medium", "large"]
    assert {run.settings["model.latent_dim"] for run in grouped[2].runs} == {50}
    page = without_plotly(render(collect(folder)))
    assert "medium" in page
    assert "setting medium" not in page
