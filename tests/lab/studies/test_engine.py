"""Studies from the command line on the embedded digits, and what they leave."""

import os
import time

import pytest
import yaml

import cli
from lab.studies import engine, start
from lab.studies.results import WRITE_SECONDS, is_due
from lab.studies.study_file import as_argument, read_study
from tests.lab.studies.small_studies import FEW, WIDTHS, rows, run, write


def test_a_grid_runs_and_the_same_command_repeats_nothing(tmp_path, capsys):
    file, study_dir = write(tmp_path / "width.yaml"), tmp_path / "study"
    run(file, study_dir)
    found = rows(study_dir)
    assert [(row["trial"], row["state"], row["seed"]) for row in found] == [
        ("0", "complete", "0"), ("1", "complete", "1"), ("2", "complete", "0"), ("3", "complete", "1"),
    ]  # fmt: skip
    assert [row["model.network.hidden_dims"] for row in found] == ["[4]", "[4]", "[8]", "[8]"]
    assert {row["parameters"] for row in found} == {"310", "610"}
    for row in found:
        run_dir = study_dir / row["run_dir"]
        assert (run_dir / "summary.json").exists()
        assert yaml.safe_load((run_dir / "config.yaml").read_text())["wandb"]["group"] == "width"
    written = {path: path.stat().st_mtime_ns for path in study_dir.glob("trials/*/summary.json")}
    capsys.readouterr()
    run(file, study_dir)
    assert {path: path.stat().st_mtime_ns for path in study_dir.glob("trials/*/summary.json")} == written
    assert rows(study_dir) == found
    assert "4 complete" in capsys.readouterr().out
    cli.main(["report", str(study_dir)])
    assert "Width on digits" in (study_dir / "report.html").read_text()


def test_a_failing_trial_is_marked_and_the_others_go_on(tmp_path, fake, capsys):
    file = write(tmp_path / "s.yaml", grid={"model.network.hidden_dims": [[13], [14], [8]]}, seeds=[0])
    run(file, tmp_path / "study", status=1)
    found = rows(tmp_path / "study")
    assert [row["state"] for row in found] == ["failed", "failed", "complete"]
    assert found[0]["error"] == "OSError: [Errno 28] No space left on device"
    assert "no finite val/accuracy" in found[1]["error"]
    assert "--retry_failed runs them again" in capsys.readouterr().err
    run(file, tmp_path / "study", status=1)
    assert len(fake) == 3  # not by itself
    run(file, tmp_path / "study", "--retry_failed", status=1)
    assert [setting["model.network.hidden_dims"] for setting, _ in fake[3:]] == [[13], [14]]
    assert len(rows(tmp_path / "study")) == 3


def test_a_search_draws_as_many_as_it_says(tmp_path, fake, monkeypatch):
    space = {"model.optimizer.lr": {"low": 1e-4, "high": 1e-1, "log": True}}
    file = write(tmp_path / "s.yaml", grid=None, search=space, trials=5, sampler="tpe")

    def run_trial(study, run_dir, setting, seed, callbacks):
        return {
            "metrics": {"val/accuracy": setting["model.optimizer.lr"]},
            "parameters": 1,
            "seconds": 1.0,
            "alarms": "",
        }

    monkeypatch.setattr(engine, "run_trial", run_trial)
    run(file, tmp_path / "study")
    run(file, tmp_path / "study")
    rates = [float(row["model.optimizer.lr"]) for row in rows(tmp_path / "study")]
    assert len(set(rates)) == 5
    assert all(1e-4 <= rate <= 1e-1 for rate in rates)


def test_a_dry_run_lists_parameters_and_time_and_writes_nothing(tmp_path, capsys):
    run_options = ["study", str(write(tmp_path / "s.yaml")), "--study_dir", str(tmp_path / "study"), "--dry_run"]
    cli.main(run_options)
    printed = capsys.readouterr().out
    assert "0003           610 parameters  hidden_dims=[8] seed=1" in printed
    assert "4 trials, about" in printed
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"grid": {"model.network.hidden_dimz": [[4]]}}, "no option --model.network.hidden_dimz"),
        ({"grid": {"model.network.hidden_dims": [[0]]}}, "hidden layer 1 has 0 units"),
        ({"grid": {}}, "grid is empty: give options"),
        ({"grid": {"seed": []}}, "the grid of seed is []: expected a list with at least one value"),
        ({"grid": {"model.l2": list(range(600))}}, "has 1,200 trials (600 settings, 2 seeds): make the grid smaller"),
        ({"grid": None}, "has none of grid, list, search: give exactly one"),
        ({"base": "configs/none.yaml"}, "there is no config configs/none.yaml"),
        ({"grids": {}}, "there is no key grids; did you mean grid?"),
        ({"seeds": [-1]}, "seeds is [-1]: give a list of whole numbers"),
        ({"direction": "up"}, "direction is 'up': choose one of minimize, maximize"),
        ({"plot": [{"x": "model.l2", "y": "val/loss"}]}, "plot has x: model.l2: the varied options are"),
        ({"record": None}, "the key record is missing"),
        ({"record": ["val/size"], "direction": None}, "it is not known whether less or more val/size is better"),
        (
            {"grid": {"seed_everything": [1, 2]}},
            "the study itself sets seed_everything for its trials",
        ),
        ({"grid": {None: [1, 2]}}, "None is no option: give names, such as model.latent_dim"),
        ({"overrides": {"run_dir": "here"}}, "the study itself sets run_dir for its trials: give --study_dir"),
        ({"overrides": {"trainer.devices": 2}}, "trainer.devices is 2: a trial runs on one device; use more workers"),
        ({"overrides": {"trainer.num_nodes": 2}}, "trainer.num_nodes is 2: a trial runs on one device"),
        ({"sampler": "tpe"}, "sampler belongs to a search, and this study is a grid: leave it out"),
        ({"base": 5}, "base is 5: give a text"),
        ({"plot": [{"x": "model.network.hidden_dims", "y": "val/loss", "logx": True}]}, "there is no key of plot logx"),
        (
            {"grid": None, "search": {"model.l2": {"choices": []}}},
            "model.l2 is {'choices': []}: expected {choices: [16",
        ),
        (
            {"grid": None, "search": {"model.l2": {"choices": 16}}},
            "model.l2 is {'choices': 16}: expected {choices: [16",
        ),
        (
            {"grid": None, "search": {"model.l2": {"low": 1e-4, "high": 1, "logarithmic": True}}},
            "there is no key of model.l2 logarithmic",
        ),
    ],
)
def test_a_mistake_is_named_before_anything_runs(tmp_path, capsys, monkeypatch, changes, message):
    monkeypatch.setattr(start, "run_study", lambda *args: pytest.fail("it was run"))  # some of them would never end
    run(write(tmp_path / "s.yaml", **changes), tmp_path / "study", status=2)
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert not (tmp_path / "study").exists()


def test_one_worker_at_a_time_writes_the_table(tmp_path):
    assert is_due(tmp_path)
    table = tmp_path / "results.csv"
    table.write_text("trial\n")
    assert not is_due(tmp_path)
    os.utime(table, (0, time.time() - WRITE_SECONDS + 5))
    assert not is_due(tmp_path)
    os.utime(table, (0, time.time() - WRITE_SECONDS - 1))
    assert [is_due(tmp_path) for _ in range(3)] == [True, False, False]
    assert table.read_text() == "trial\n"


def test_durations_are_told_in_a_unit_that_fits():
    told = [start.duration(seconds) for seconds in (0.4, 119, 120, 7199, 7200, 12600)]
    assert told == ["0 s", "119 s", "2 min", "120 min", "2.0 h", "3.5 h"]


REPEATED = {
    "grid": ({"grid": {WIDTHS: [[4], [4.0], [8]]}, "seeds": [0, 0]}, 6),
    "list": ({"grid": None, "list": [{WIDTHS: [4]}, {WIDTHS: [4]}], "labels": ["a", "b"]}, 4),
}


@pytest.mark.parametrize("kind", REPEATED)
def test_a_folder_that_was_begun_with_repetitions_keeps_them(tmp_path, fake, capsys, kind):
    changes, trials = REPEATED[kind]
    file, folder = write(tmp_path / "s.yaml", **changes), tmp_path / "study"
    before = read_study(file).repeated
    start.prepare(before, folder, "")
    with engine.Stops() as stops:
        assert engine.take_one(before, folder, engine.open_queue(before, folder, None), stops)
    capsys.readouterr()
    run(file, folder)
    assert f"{folder} was begun with all of them, and goes on so\n" in capsys.readouterr().err
    assert [row["trial"] for row in rows(folder)] == list(map(str, range(trials)))
    assert [int(row["seed"]) for row in rows(folder)] == [seed for _, seed in before.planned]
    run(file, tmp_path / "new")
    assert len(rows(tmp_path / "new")) == trials / 2 if kind == "list" else 2
    assert "was begun" not in capsys.readouterr().err
    run(write(file, **{**changes, "title": "Another"}), folder, status=2)
    assert "(title, " in capsys.readouterr().err


def test_a_folder_of_another_study_or_of_other_files_is_left_alone(tmp_path, fake, capsys):
    run(write(tmp_path / "a.yaml"), tmp_path / "study")
    run(write(tmp_path / "b.yaml", seeds=[5]), tmp_path / "study", status=2)
    assert "holds another study, 'Width on digits' (seeds differ)" in capsys.readouterr().err
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").touch()
    run(tmp_path / "a.yaml", tmp_path / "other", status=2)
    assert "holds other files" in capsys.readouterr().err


def test_a_storage_out_of_reach_is_named(tmp_path, capsys):
    url = "postgresql+psycopg://nobody@127.0.0.1:1/none"
    run(write(tmp_path / "s.yaml"), tmp_path / "study", "--storage", url, status=2)
    assert f"the storage {url} cannot be used" in capsys.readouterr().err


def test_the_quick_size_replaces_what_it_names(tmp_path):
    quick = {"overrides": {"trainer.max_epochs": 7}, "seeds": [3], "list": [{"model.l2": 0.1}]}
    study = read_study(write(tmp_path / "s.yaml", quick=quick), quick=True)
    assert (study.kind, study.num_trials, study.seeds) == ("list", 1, (3,))
    assert study.overrides == {**FEW, "trainer.max_epochs": 7}


def test_values_are_written_as_the_command_line_reads_them():
    assert as_argument("a.b", [1, 2]) == "--a.b=[1, 2]"
    assert as_argument("a", True) == "--a=true"
    assert as_argument("a", "RMSprop") == "--a=RMSprop"
    assert as_argument("a", None) == "--a=null"


@pytest.mark.parametrize(("metric", "direction"), [("val/accuracy", "maximize"), ("val/fid", "minimize")])
def test_the_direction_follows_from_the_metric_where_it_is_not_given(tmp_path, metric, direction):
    assert read_study(write(tmp_path / "s.yaml", record=[metric], direction=None)).direction == direction


def test_a_study_that_no_run_would_have_an_objective_for_is_refused(tmp_path, capsys):
    file = write(tmp_path / "s.yaml", base="configs/gan/mnist.yaml", grid={"model.latent_dim": [4]}, record=["val/fid"])
    run(file, tmp_path / "study", status=2)
    error = capsys.readouterr().err
    assert (
        "cannot run latent_dim=4: its objective is val/fid, which no fit would log: not measured during training"
        in error
    )
    assert not (tmp_path / "study").exists()


def test_an_option_that_is_null_is_not_one_that_is_left_alone(tmp_path, fake):
    settings = [{WIDTHS: [4], "trainer.gradient_clip_val": None}, {WIDTHS: [8]}]
    run(write(tmp_path / "s.yaml", grid=None, list=settings, seeds=[0]), tmp_path / "study")
    assert [row["trainer.gradient_clip_val"] for row in rows(tmp_path / "study")] == ["null", ""]


def test_a_quick_grid_in_place_of_a_search_leaves_its_sampler_and_trials_out(tmp_path):
    search = {"search": {"model.l2": {"low": 1e-4, "high": 1.0, "log": True}}, "sampler": "random", "trials": 5}
    file = write(tmp_path / "s.yaml", grid=None, quick={"grid": {WIDTHS: [[4]]}}, **search)
    assert (read_study(file).kind, read_study(file).trials) == ("search", 5)
    assert (read_study(file, quick=True).kind, read_study(file, quick=True).num_trials) == ("grid", 2)
