"""How the runs were made, and what the page says of runs that are not completed."""

import re

import pytest

from lab.report.collection import Collection, Metric
from lab.report.page import facts, hardware, render, spelled, unique
from lab.report.runs import Alarm, Run

DASH = "\N{EN DASH}"  # in an empty cell
CPU = {"processor": "x86_64", "cores": 2, "devices": 1, "gpu": None}
GPU = {**CPU, "gpu": "H100"}


def test_each_fact_has_its_distinct_values():
    runs = [
        Run("a", None, "complete", trial=0, seed=3, seconds=60.0, epochs=5, batches=1000, model="GAN", hardware=CPU),
        Run("b", None, "complete", trial=1, seed=4, seconds=120.0, epochs=5, batches=3000, model="VAE", hardware=GPU),
        Run("c", None, "running", trial=2, seed=3, precision="bf16", versions={"torch": "2.15", "python": "3.11"}),
    ]
    assert facts(Collection("runs", "title", runs)) == [
        ("Model", ["GAN", "VAE"]),
        ("Seeds", ["3, 4"]),
        ("Epochs", ["5"]),
        ("Batches", ["1,000 to 3,000"]),
        ("Precision", ["bf16"]),
        ("Hardware", ["x86_64, 2 cores, no GPU", "H100"]),
        ("Versions", ["torch 2.15, python 3.11"]),
        ("Duration", ["3 min 0 s in 2 runs, 1 min 30 s each on average"]),
    ]


def test_a_single_run_has_its_command_and_its_seed():
    run = Run("a", None, "complete", seed=3, seconds=60.0, command="python cli.py fit")
    assert facts(Collection("run", "title", [run])) == [
        ("Command", ["python cli.py fit"]),
        ("Seed", ["3"]),
        ("Duration", ["1 min 0 s"]),
    ]
    assert facts(Collection("runs", "title", [run, run]))[0][0] == "Seeds"  # the commands of several are further below


def test_a_study_has_its_own_command_versions_and_size():
    run = Run("a", None, "complete", command="python cli.py fit", versions={"torch": "1"})
    found = Collection("study", "title", [run, run], command="study", quick=True, versions={"torch": "2"})
    assert facts(found) == [
        ("Command", ["study"]),
        ("Size", ["quick: a smaller version of the study"]),
        ("Versions", ["torch 2"]),
    ]


@pytest.mark.parametrize(
    ("known", "text"),
    [
        ({}, ""),
        (CPU, "x86_64, 2 cores, no GPU"),
        ({**CPU, "devices": 2}, "x86_64, 2 cores, no GPU, 2 processes"),
        (GPU, "H100"),
        ({**GPU, "devices": 4}, "4 x H100"),
        ({"gpu": None}, "processor unknown, ? cores, no GPU"),
    ],
)
def test_hardware(known, text):
    assert hardware(Run("a", None, "complete", hardware=known)) == text


def test_values_are_named_once_and_ranges_have_two_ends():
    assert unique([1, None, "", 1, "b", 0]) == ["1", "b", "0"]
    assert [spelled(values) for values in ([], [None], [20, None, 20], [30, 1000, 20])] == ["", "", "20", "20 to 1,000"]


def page_of(*runs, kind="study", **fields):
    return re.sub(r"<script>/\*\*.*?</script>", "", render(Collection(kind, "title", list(runs), **fields)), flags=re.S)


def words(html):
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


@pytest.mark.parametrize("state", ["failed", "pruned", "running", "waiting"])
def test_a_run_that_is_not_completed_is_listed_with_its_error(state):
    lost, done = Run("lost", None, state, error="OSError: full"), Run("done", None, "complete")
    found = words(page_of(lost, done))
    assert f"Not completed lost {state} OSError: full How this was made" in found
    assert "Not completed" not in words(page_of(done))
    assert f"Not completed lost {state}" in words(page_of(Run("lost", None, state), done))


def test_the_page_of_a_run_says_whether_it_ended():
    found = words(page_of(Run("a", None, "running"), kind="run"))
    assert "Run a: running ." in found or "Run a: running." in found
    assert "There is no summary.json: the run has not ended yet, or was stopped." in found


def test_settings_beyond_the_fortieth_are_counted(tmp_path):
    from PIL import Image

    from lab.report.runs import Artifact

    Image.new("L", (4, 4)).save(tmp_path / "grid-1.png")
    picture = [Artifact(tmp_path / "grid-1.png", "grid", 1)]
    runs = [Run(str(n), None, "complete", settings={"a": n}, pictures=picture) for n in range(43)]
    assert "The 3 settings with the worst results are left out." in words(page_of(*runs, options=["a"]))
    assert "are left out" not in words(page_of(*runs[:40], options=["a"]))


def test_alarms_notes_and_sizes_are_on_the_page():
    run = Run("name", None, "complete", alarms=[Alarm("d_wins", "Look at D.", 1500), Alarm("other", "Hm.")])
    found = words(page_of(run, notes=["A note."], quick=True, question="Why?", caption="Caption."))
    assert "name d_wins 1,500 Look at D." in found
    assert "name other Hm." in found
    for text in ("A note.", "This is the quick size of the study.", "Why?", "Caption.", "2 alarms"):
        assert text in found
    assert "quick size" not in words(page_of(run))


def test_the_table_of_results_has_each_column_in_its_place():
    def trial(seed, width, loss, size, **fields):
        metrics = {} if loss is None else {"val/loss": loss, "val/kl": loss + 1}
        return Run(f"{width}-{seed}", None, "complete", seed=seed, settings={"model.width": width}, metrics=metrics,
                   parameters={"network": size}, seconds=size / 100, **fields)  # fmt: skip

    runs = [trial(0, 8, 1.0, 1000), trial(1, 8, 3.0, 1000), trial(0, 16, 1.5, 2000), trial(0, 32, None, 3000)]
    metrics = [Metric("val/loss", "minimize"), Metric("val/kl", None), Metric("val/gone", "maximize")]
    html = page_of(*runs, options=["model.width"], metrics=metrics)
    rows = re.findall(r"<tr>(.*?)</tr>", html[html.index('class="sortable"') :], flags=re.S)
    cells = [[words(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, flags=re.S)] for row in rows]
    assert cells[0] == ["width", "val/ loss ↓", "val/ kl", "parameters", "time", "trials"]
    assert cells[1:4] == [
        ["8", "2.0 ± 1.4", "3.0 ± 1.4", "1,000", "10 s", "2"],
        ["16", "1.5", "2.5", "2,000", "20 s", "1"],
        ["32", DASH, DASH, "3,000", "30 s", "1"],
    ]
    assert cells[4] == ["trial", "seed", "state", "val/ loss", "val/ kl", "time"]
    assert cells[6] == ["8-1", "1", "complete", "3", "4", "10 s"]
    assert re.findall(r'class="number best" data-value="([^"]*)"', html) == ["1.5"]
