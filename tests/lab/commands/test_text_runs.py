"""The commands on a small text."""

import json

import pytest
import torch

import cli
from tests import tiny_runs
from tests.tiny_runs import copied, resumed


def complaint(capsys, *args):
    with pytest.raises(SystemExit) as stopped:
        cli.main(list(args))
    assert stopped.value.code == 2
    return capsys.readouterr().err


def test_a_run_keeps_numbers_samples_and_its_vocabulary(text_run, text_file):
    metrics = json.loads((text_run / "summary.json").read_text())["metrics"]
    for name in ("nats_per_char", "bits_per_char", "perplexity"):
        assert metrics[f"val/{name}"] > 0
        assert metrics[f"train/{name}"] > 0
    assert sorted(path.name for path in (text_run / "samples").iterdir()) == [
        "learning_curves.png",
        "text-0000000.txt",
        "text-0000075.txt",
        "text-0000150.txt",
        "texts.csv",
    ]
    assert (text_run / "checkpoints" / "best.ckpt").exists()
    checkpoint = torch.load(text_run / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["hyper_parameters"]["vocabulary"] == sorted(set(text_file.read_text()))
    assert "Unable to serialize" not in (text_run / "config.yaml").read_text()


def test_validate_and_test_measure_all_of_the_held_out_text(text_run, tmp_path):
    run = copied(text_run, tmp_path / "run")
    cli.main(["validate", *resumed(run)])
    validated = json.loads((run / "validate" / "summary.json").read_text())["metrics"]
    trained = json.loads((text_run / "summary.json").read_text())["metrics"]
    assert validated["val/nats_per_char"] == pytest.approx(trained["val/nats_per_char"], abs=1e-6)
    with pytest.warns(UserWarning, match="no text is kept for testing"):
        cli.main(["test", *resumed(run)])
    tested = json.loads((run / "test" / "summary.json").read_text())["metrics"]
    assert tested == {name.replace("val/", "test/"): value for name, value in validated.items()}


@pytest.mark.full
def test_a_resumed_run_equals_one_that_never_stopped(tmp_path, text_file):
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    dropout = [*tiny_runs.text(text_file), "--model.network.dropout", "0.2", "--model.schedule", "Constant"]
    cli.main([*dropout, "--trainer.max_epochs", "2", "--run_dir", str(straight)])
    cli.main([*dropout, "--trainer.max_epochs", "1", "--run_dir", str(stopped)])
    cli.main(["fit", *resumed(stopped), "--trainer.max_epochs", "2"])
    expected, found = (torch.load(run / "checkpoints" / "last.ckpt", weights_only=True) for run in (straight, stopped))
    for kept in ("state_dict", "optimizer_states"):
        assert str(expected[kept]) == str(found[kept])
    assert all(torch.equal(expected["state_dict"][name], found["state_dict"][name]) for name in found["state_dict"])
    final = [run / "samples" / "text-0000150.txt" for run in (straight, stopped)]
    assert final[0].read_text() == final[1].read_text()


@pytest.mark.parametrize("command", ["fit", "validate"])
def test_a_text_with_characters_that_the_checkpoint_does_not_know_is_refused(
    text_run, text_file, tmp_path, capsys, command
):
    (tmp_path / "other.txt").write_text(text_file.read_text().replace("A", "ß").replace("9", "0"))
    other = ["--run_dir", str(tmp_path / "run"), "--data.path", str(tmp_path / "other.txt")]
    error = complaint(capsys, command, *resumed(text_run), *other)
    assert "the text holds 'ß', 1 of its characters in all, which the vocabulary of 29 characters lacks" in error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "play.txt is empty: there is nothing to learn from"),
        pytest.param(
            b"caf\xe9 " * 400,
            "play.txt is not UTF-8: byte 0xe9 at position 3, in line 1",
            marks=pytest.mark.full,
        ),
        pytest.param(
            b"too short",
            "the training text has 8 characters: 8 streams of 16 need 128; use a smaller",
            marks=pytest.mark.full,
        ),
    ],
)
def test_texts_that_cannot_be_learned_from_are_named(tmp_path, capsys, content, message):
    (tmp_path / "play.txt").write_bytes(content)
    error = complaint(capsys, *tiny_runs.text(tmp_path / "play.txt"), "--run_dir", str(tmp_path / "run"))
    assert message in error
    assert not (tmp_path / "run").exists()


def test_a_prompt_for_the_samples_that_the_text_does_not_know_stops_a_run_at_its_start(tmp_path, text_file, capsys):
    error = complaint(capsys, *tiny_runs.text(text_file), "--texts.prompt", "Ω", "--run_dir", str(tmp_path / "run"))
    assert "the prompt holds 'Ω', which the model has never seen" in error
    assert not (tmp_path / "run").exists()


def test_predict_says_what_to_do_instead(text_run, capsys):
    error = complaint(capsys, "predict", *resumed(text_run))
    assert "a CharLanguageModel makes no predictions: `python cli.py sample` generates" in error
