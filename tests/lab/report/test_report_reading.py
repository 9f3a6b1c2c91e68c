"""What the report page reads from the folders of runs and studies."""

import json
import os

import yaml

from lab.report.collect import collect
from lab.report.collection import Metric
from lab.report.page import render
from lab.report.runs import flat, read_run
from lab.report.table import group
from tests.lab.study_folders import rewrite, write_run, write_study


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


def measure(run, folder, value, seconds):
    """The summary of an evaluation, made so many seconds after the run ended."""
    (run / folder).mkdir()
    (run / folder / "config.yaml").write_text("{}")
    path = run / folder / "summary.json"
    path.write_text(json.dumps({"metrics": {"val/fid": value}}))
    made = (run / "summary.json").stat().st_mtime + seconds
    os.utime(path, (made, made))


def test_of_several_evaluations_the_last_counts_and_none_from_before_the_run_went_on(tmp_path):
    run = write_run(tmp_path / "run", level=3.0)
    measure(run, "validate", 9.0, -20)
    found = collect(run)
    assert found.runs[0].metrics["val/fid"] == 3.0
    assert found.notes == ["run/validate was measured before the run was resumed and is left out."]
    for number, value in ((2, 8.0), (10, 7.0)):
        measure(run, f"validate-{number}", value, number)
    assert collect(run).runs[0].metrics["val/fid"] == 7.0
    assert [run.name for run in collect(tmp_path).runs] == ["run"]


def test_evaluations_of_a_checkpoint_from_elsewhere_are_no_runs(tmp_path):
    run = write_run(tmp_path / "run")
    (tmp_path / "later").mkdir()
    measure(run, "../later/validate", 5.0, 10)
    assert [run.name for run in collect(tmp_path).runs] == ["run"]


def test_runs_of_one_class_are_told_apart_by_options_that_another_class_has_not(tmp_path):
    for name, width in (("narrow", 32), ("wide", 64), ("mlp", 8)):
        write_run(tmp_path / name, width=width, level=width)
    path = tmp_path / "mlp" / "config.yaml"
    config = yaml.safe_load(path.read_text())
    generator = {"class_path": "lightning_models.networks.MLPGenerator", "init_args": {"hidden_dims": [8]}}
    config["model"]["init_args"]["generator"] = generator
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    found = collect(tmp_path)
    assert found.options == ["model.generator", "model.generator.width"]  # what only the MLP has follows from its class
    assert [setting.label for setting in group(found)] == [
        "generator MLPGenerator", "generator DCGANGenerator, width 32", "generator DCGANGenerator, width 64"
    ]  # fmt: skip
    assert render(found)


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


def test_running_and_waiting_trials_have_their_place(tmp_path):
    write_study(tmp_path, failing=False)
    rewrite(tmp_path / "results.csv", "state", ["complete", "complete", "running", "complete", "waiting", "waiting"])
    rewrite(tmp_path / "results.csv", "run_dir", [f"trials/none-{n}" for n in range(4)] + ["", ""])
    found = collect(tmp_path)
    assert [run.state for run in found.runs][2:] == ["running", "complete", "waiting", "waiting"]
    assert "0003" not in found.notes[0]
    assert "trials/none-0 of a complete trial does not exist" in found.notes[0]
    assert "1 running, 2 waiting" in " ".join(render(found).split())
