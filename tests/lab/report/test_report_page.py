"""What stands on the report page; the browser's view of it is in test_report_in_browser.py."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

import cli
from lab.report.charts import Chart
from lab.report.collect import collect
from lab.report.collection import Collection, Metric
from lab.report.page import breakable, curves, render, write_page
from lab.report.table import group
from tests.lab.study_folders import rewrite, write_study

ROOT = Path(__file__).parents[3]


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


def test_names_break_between_words():
    assert breakable("val/d_top_<b>") == "val/<wbr>d_top_<wbr>&lt;b&gt;"


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


def test_a_study_that_names_its_settings_shows_the_names_in_place_of_options(tmp_path):
    settings = [{"model.latent_dim": size} for size in (10, 20, 50)]
    folder = write_study(tmp_path / "study", list=settings, labels=["small", "medium", "large"])
    grouped = group(collect(folder))
    assert [setting.label for setting in grouped] == ["small", "medium", "large"]
    assert {run.settings["model.latent_dim"] for run in grouped[2].runs} == {50}
    page = without_plotly(render(collect(folder)))
    assert "medium" in page
    assert "setting medium" not in page


def test_the_command_writes_one_file_and_says_where(study, capsys):
    before = set(study.iterdir())
    cli.main(["report", str(study)])
    assert re.fullmatch(rf"{re.escape(str(study))}/report.html: \d\.\d MB\n", capsys.readouterr().out)
    assert (study / "report.html").stat().st_size > 4_000_000  # plotly, once
    assert set(study.iterdir()) == before | {study / "report.html"}
    assert write_page(study) == study / "report.html"  # again: the old page is replaced


def test_the_command_does_not_import_torch():
    code = (
        "import sys, lab.commands.report; sys.exit(any(name in sys.modules for name in ('torch', 'pytorch_lightning')))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_the_first_charts_are_four_metrics_and_two_losses():
    names = ["train/a_loss", "train/g_loss", "train/d_loss", *(f"val/{n}" for n in ("e", "d", "c", "b", "a")), "speed"]
    found = {name: Chart(name, "{}", "", 300, flat=name == "speed") for name in names}
    metrics = [Metric("val/k", None), *(Metric(f"val/{name}", "minimize") for name in "deabc")]
    first, others = curves(Collection("run", "", [], metrics=[Metric("val/gone", "minimize"), *metrics]), found)
    shown = ["val/d", "val/e", "val/a", "val/b", "train/a_loss", "train/g_loss"]
    assert [chart.title for chart in first] == shown
    assert [chart.title for chart in others] == ["train/d_loss", "val/c", "speed"]
    first, others = curves(Collection("run", "", [], metrics=[]), {name: found[name] for name in ("speed", "val/a")})
    assert ([chart.title for chart in first], [chart.title for chart in others]) == (["val/a"], ["speed"])
