"""Names through the front door: train, resume, validate, test, predict."""

import csv
import io
import json
import sys

import pytest
import torch

import cli
from tests import tiny_runs
from tests.tiny_runs import resumed


def predictions(run):
    with (run / "predict" / "predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_holds_its_metrics_its_confusions_and_its_vocabulary(names_run):
    metrics = json.loads((names_run / "summary.json").read_text())["metrics"]
    wanted = "train/loss train/accuracy val/loss val/accuracy val/balanced_accuracy val/macro_f1 val/top3_accuracy"
    assert {*wanted.split(), "val/accuracy_length_0_to_4"} <= metrics.keys()
    assert (names_run / "samples" / "confusion_matrix.png").exists()
    assert (names_run / "checkpoints" / "best.ckpt").exists()
    kept = torch.load(names_run / "checkpoints" / "last.ckpt", weights_only=True)["hyper_parameters"]
    assert kept["class_names"] == ["nasals", "rest", "vowels"]
    assert kept["vocabulary"][0] == "<unknown>"


@pytest.mark.parametrize("command", ["validate", "test"])
def test_validate_and_test(names_run, command, tmp_path):
    cli.main([command, *resumed(names_run), "--run_dir", str(tmp_path), "--quiet"])
    metrics = json.loads((tmp_path / command / "summary.json").read_text())["metrics"]
    assert f"{command[:3] if command == 'validate' else 'test'}/accuracy" in metrics
    assert (tmp_path / command / "samples" / "confusion_matrix.png").exists()


@pytest.mark.parametrize("source", ["file", "input"])
def test_predict_without_the_training_data(names_run, source, tmp_path, monkeypatch):
    lines = "aex\n\nÜ\n" + "mn" * 5000 + "\nskx"
    (tmp_path / "lines.txt").write_text(lines, encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines.encode())))
    path = str(tmp_path / "lines.txt") if source == "file" else "-"
    data = ["--data.predict_path", path, "--data.path", str(tmp_path / "gone")]
    cli.main(["predict", *resumed(names_run), *data, "--run_dir", str(tmp_path), "--quiet"])
    rows = predictions(tmp_path)
    assert [row["id"] for row in rows] == ["0", "1", "2", "3", "4"]
    assert list(rows[0])[:3] == ["id", "category", "probability"]
    for row in rows:
        assert row["category"] in ("nasals", "rest", "vowels")
        total = sum(float(row[f"probability{place}"]) for place in ("", "_2", "_3"))
        assert total == pytest.approx(1, abs=1e-5)


@pytest.mark.filterwarnings("ignore:The dirpath has changed")  # a new run folder is wanted here
def test_a_resumed_run_keeps_the_vocabulary_of_the_checkpoint(names_run, names_folder, tmp_path):
    more = tmp_path / "more"
    more.mkdir()
    for path in names_folder.glob("*.txt"):
        (more / path.name).write_text(path.read_text(encoding="utf-8") + "\nžluťoučký", encoding="utf-8")
    epochs = ["--trainer.max_epochs", "2", "--run_dir", str(tmp_path / "second")]
    cli.main(["fit", *resumed(names_run), "--data.path", str(more), *epochs])
    first, second = (
        torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["hyper_parameters"]["vocabulary"]
        for folder in (names_run, tmp_path / "second")
    )
    assert first == second
    assert "vocabulary: null" in (tmp_path / "second" / "config.yaml").read_text()


def refused(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    assert stopped.value.code == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert message.startswith("error: ")
    return message


def test_a_checkpoint_of_another_vocabulary_is_refused(names_run, capsys, tmp_path):
    other = ["--data.vocabulary", '["<unknown>", "q"]', "--run_dir", str(tmp_path)]
    message = refused(["test", *resumed(names_run), *other], capsys)
    assert "and of this data differ: 15 ('<unknown>' 'a' 'e'" in message
    assert "2 ('<unknown>' 'q') here" in message


def test_data_with_a_class_that_the_checkpoint_does_not_know_is_refused(names_run, names_folder, capsys, tmp_path):
    more = tmp_path / "more"
    more.mkdir()
    for path in [*names_folder.glob("*.txt"), more / "new.txt"]:
        (more / path.name).write_text("abc\nxyz\nwords\n")
    message = refused(["test", *resumed(names_run), "--data.path", str(more), "--run_dir", str(tmp_path)], capsys)
    assert "holds the class new, which the model does not know. Its classes are nasals, rest, vowels" in message


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty: expected one input a line"),
        (b"good\nM\xfcller\n", "is not UTF-8: byte 0xfc at position 6, in line 2. Find out its encoding"),
    ],
)
def test_what_cannot_be_predicted_is_explained(names_run, content, expected, capsys, tmp_path):
    (tmp_path / "lines.txt").write_bytes(content)
    arguments = ["--data.predict_path", str(tmp_path / "lines.txt"), "--run_dir", str(tmp_path)]
    assert expected in refused(["predict", *resumed(names_run), *arguments], capsys)


def test_a_single_class_is_explained(capsys, tmp_path):
    (tmp_path / "x.txt").write_text("one\ntwo\n")
    message = refused(tiny_runs.names(tmp_path), capsys)
    assert "holds one class only, x: a classifier needs at least two files" in message
