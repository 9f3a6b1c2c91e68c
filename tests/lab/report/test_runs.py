"""Every field of a run, and from which file of its folder it comes."""

import json
import os

import pytest

from lab.errors import UserError
from lab.report.runs import Alarm, Artifact, Curve, Run, as_value, is_run, read_curves, read_run

CONFIG = "seed_everything: 4\nmodel: {class_path: a.GAN, init_args: {latent_dim: 8, ema: null, pair: [1, 2]}}\n"
SUMMARY = {
    "command": "python cli.py fit",
    "model": "GAN",
    "metrics": {"val/fid": 3.5},
    "parameters": {"generator": 10, "generator_ema": 10, "discriminator": 5},
    "batches": 200,
    "epochs": 6,
    "seconds": 61.5,
    "seed": 3,
    "precision": "bf16-mixed",
    "hardware": {"cores": 2},
    "versions": {"torch": "2.15.0"},
}


@pytest.fixture
def folder(tmp_path):
    """A run with every file, each with values that no other field has."""
    (tmp_path / "samples").mkdir()
    for name in ("grid-0000010.png", "grid-0000002.png", "progress.png", "a-b-7.txt", "last.txt", "notes.md"):
        (tmp_path / "samples" / name).write_text("")
    (tmp_path / "config.yaml").write_text(CONFIG)
    (tmp_path / "summary.json").write_text(json.dumps(SUMMARY))
    (tmp_path / "metrics.csv").write_text("epoch,step,a,b\n0,9,1.5,\n1,19,,nan\n1,29,2.5,inf\n")
    alarms = [{"name": "first", "message": "Look.", "batch": 80}, {"name": "second"}, {"message": "Nameless."}]
    (tmp_path / "alarms.json").write_text(json.dumps(alarms))
    return tmp_path


def test_every_field_comes_from_its_file(folder):
    notes: list[str] = []
    found = read_run(folder, "name", notes)
    curve = found.curves.pop("b")
    assert (curve.steps, [str(value) for value in curve.values]) == ([19, 29], ["nan", "inf"])
    samples = folder / "samples"
    assert found == Run(
        name="name",
        folder=folder,
        state="complete",
        seed=3,
        settings={"seed_everything": 4, "model": "GAN", "model.latent_dim": 8, "model.ema": None, "model.pair": "1, 2"},
        metrics={"val/fid": 3.5},
        curves={"a": Curve([9, 29], [1.5, 2.5])},
        parameters=SUMMARY["parameters"],
        seconds=61.5,
        epochs=6,
        batches=200,
        command="python cli.py fit",
        model="GAN",
        precision="bf16-mixed",
        versions={"torch": "2.15.0"},
        hardware={"cores": 2},
        pictures=[
            Artifact(samples / "grid-0000002.png", "grid", 2),
            Artifact(samples / "grid-0000010.png", "grid", 10),
            Artifact(samples / "progress.png", "progress", None),
        ],
        texts=[Artifact(samples / "a-b-7.txt", "a-b", 7), Artifact(samples / "last.txt", "last", None)],
        alarms=[Alarm("first", "Look.", 80), Alarm("second", "", None), Alarm("alarm", "Nameless.", None)],
        config=CONFIG,
    )
    assert found.total_parameters == 15
    assert notes == []


def test_what_is_missing_is_none_or_empty(tmp_path):
    assert read_run(tmp_path, "name", []) == Run("name", tmp_path, "running")
    assert Run("name", tmp_path, "running").total_parameters is None


def test_the_seed_is_that_of_the_config_until_there_is_a_summary(folder):
    (folder / "summary.json").unlink()
    assert (read_run(folder, "run", []).seed, read_run(folder, "run", []).state) == (4, "running")
    (folder / "config.yaml").write_text("seed_everything: true\n")
    assert read_run(folder, "run", []).seed is None  # a random one


def test_a_run_that_ended_in_an_error_has_failed(folder):
    (folder / "error.txt").write_text("Traceback")
    assert (read_run(folder, "run", []).state, read_run(folder, "run", []).error) == ("failed", "Traceback")


@pytest.mark.parametrize("name", ["metrics.csv", "summary.json", "error.txt", "alarms.json"])
def test_a_run_is_a_config_with_anything_that_a_run_writes(tmp_path, name):
    (tmp_path / name).write_text("")
    assert not is_run(tmp_path)
    (tmp_path / "config.yaml").write_text("")
    assert is_run(tmp_path)
    (tmp_path / name).unlink()
    assert not is_run(tmp_path)


def evaluate(folder, name, value, later=10):
    """The summary of an evaluation, `later` seconds after that of the run."""
    (folder / name).mkdir()
    path = folder / name / "summary.json"
    path.write_text(json.dumps({"metrics": {f"{name.partition('-')[0]}/fid": value}}))
    time = (folder / "summary.json").stat().st_mtime + later
    os.utime(path, (time, time))


def test_validation_and_test_replace_and_add_metrics_each_with_its_last_folder(folder):
    (folder / "summary.json").write_text(json.dumps({**SUMMARY, "metrics": {"validate/fid": 1.0, "val/kid": 2.0}}))
    evaluate(folder, "validate", 3.0)
    evaluate(folder, "test-2", 5.0)
    evaluate(folder, "test-10", 6.0, later=0)
    evaluate(folder, "test-9", 7.0)
    notes: list[str] = []
    assert read_run(folder, "run", notes).metrics == {"validate/fid": 3.0, "val/kid": 2.0, "test/fid": 6.0}
    assert notes == []
    evaluate(folder, "test-11", 8.0, later=-1)
    assert read_run(folder, "run", notes).metrics == {"validate/fid": 3.0, "val/kid": 2.0}
    assert notes == [f"{folder.name}/test-11 was measured before the run was resumed and is left out."]


def test_columns_of_metrics_are_found_by_their_names(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("loss,step,epoch\n0.5,7,1\n0.25,8,1\n")
    assert read_curves(path, []) == {"loss": Curve([7, 8], [0.5, 0.25])}
    path.write_text("")
    assert read_curves(path, []) == {}
    assert read_curves(tmp_path / "none.csv", []) == {}


@pytest.mark.parametrize(
    ("rows", "line"),
    [("0,1,2\n0,x,2\n0,3,2\n", 3), ("0,1,2,3\n0,2,2\n", 2), ("0,1,two\n0,2,2\n", 2)],
)
def test_a_damaged_line_inside_metrics_is_named(tmp_path, rows, line):
    path = tmp_path / "metrics.csv"
    path.write_text(f"epoch,step,a\n{rows}")
    with pytest.raises(UserError, match=rf"metrics\.csv, line {line}: "):
        read_curves(path, [])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("seconds", "61"), ("epochs", 1.5), ("batches", "9"), ("command", 3), ("model", ["GAN"]), ("precision", 32)),
        *(("versions", ["2.15"]), ("hardware", "cpu"), ("metrics", [1]), ("parameters", {"all": "many"})),
    ],
)
def test_a_value_that_no_run_writes_is_named_with_its_file(folder, key, value):
    (folder / "summary.json").write_text(json.dumps({**SUMMARY, key: value}))
    with pytest.raises(UserError, match=rf"summary\.json: {key}"):
        read_run(folder, "run", [])


@pytest.mark.parametrize(
    ("cell", "value"),
    [("3", 3), ("3.0", 3.0), ("1e3", 1000), ("0.5", 0.5), ("inf", float("inf")), ("dcgan", "dcgan"), ("", "")],
)
def test_cells_are_numbers_where_they_can_be(cell, value):
    assert as_value(cell) == value
    assert type(as_value(cell)) is type(value)


def test_files_are_read_whatever_their_bytes(tmp_path):
    (tmp_path / "error.txt").write_bytes(b"caf\xe9")
    assert read_run(tmp_path, "run", []).error == "caf\N{REPLACEMENT CHARACTER}"
