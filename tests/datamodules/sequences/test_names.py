import io
import sys

import pytest
import torch

from datamodules.sequences.names import Names
from tests.datamodules.sequences.line_files import numbered, texts, write_classes

WORDS = ["Ångström", "Öberg", "Lindqvist", "Berg", "Ek", "Dahl", "Holm", "Lund", "Sjö", "Ström"]


def test_the_default_needs_no_files():
    data = Names()
    data.setup("fit")
    assert len(data.class_names) == 18
    sizes = {part: sum(map(len, classes.values())) for part, classes in data.lines.items()}
    assert sum(sizes.values()) > 10_000
    assert sizes["val"] / sum(sizes.values()) == pytest.approx(0.1, abs=0.01)
    assert min(data.class_counts) > 100
    sequences, lengths, labels = next(iter(data.train_dataloader()))
    assert sequences.shape == (128, lengths.max())
    assert len(labels) == 128


def test_a_batch_is_the_lines_padded_with_zeros(folder):
    data = Names(folder, batch_size=1000)
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    assert sorted(texts(data, batch)) == sorted((x, c) for c, lines in data.lines["train"].items() for x in lines)
    sequences, lengths, _ = batch
    assert ((sequences != 0) == (torch.arange(sequences.shape[1]) < lengths[:, None])).all()


def test_unicode_is_kept_or_folded(tmp_path):
    path = write_classes(tmp_path, {"swedish": WORDS, "polish": ["Łukasz", "Żółć", "Straße", "Дом"]})
    kept, folded = Names(path, val_fraction=0, test_fraction=0), Names(path, ascii_only=True)
    assert "Å" in kept.vocabulary
    assert "ö" in kept.vocabulary
    lines = [line for classes in folded.lines.values() for own in classes.values() for line in own]
    assert {"Angstrom", "Lukasz", "Zolc", "Strasse", "???"} <= set(lines)
    assert all(len(c) == 1 and c.isascii() for c in folded.vocabulary[1:])


def test_the_vocabulary_is_that_of_the_training_lines(tmp_path):
    path = write_classes(tmp_path, {"train/x": ["ab"], "train/y": ["ba"], "test/x": ["aQb"], "test/y": ["b"]})
    data = Names(path)
    data.setup("test")
    assert data.vocabulary == ["<unknown>", "a", "b"]
    assert texts(data, next(iter(data.test_dataloader()))) == [("a·b", "x"), ("b", "y")]


def test_whole_lines_end_at_the_most_characters(tmp_path):
    data = Names(write_classes(tmp_path, {"x": ["a" * 50], "y": ["b"]}), max_length=20, val_fraction=0, test_fraction=0)
    data.setup("fit")
    assert texts(data, next(iter(data.train_dataloader())))[0][0] in ("a" * 20, "b")
    assert next(iter(data.train_dataloader()))[1].max() == 20


@pytest.mark.parametrize("source", ["file", "input"])
def test_what_is_to_be_predicted_stays_in_order_and_nothing_is_dropped(folder, tmp_path, source, monkeypatch):
    content = "b1\n\n  a7 \n" + "b" * 500 + "\n日本\na end"
    path = tmp_path / "lines.txt"
    path.write_text(content, encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content.encode())))
    given = str(path) if source == "file" else "-"
    data = Names(folder, batch_size=4, predict_path=given, max_length=30)
    data.setup("predict")
    lines = [line for batch in data.predict_dataloader() for line, _ in texts(data, batch)]
    assert lines == ["b1", "·", "a7", "b" * 30, "··", "a····"]  # the folder's own letters are a and b


def test_with_what_a_checkpoint_knows_prediction_needs_no_training_data(tmp_path):
    (tmp_path / "lines.txt").write_text("ba\n")
    data = Names(
        str(tmp_path / "nowhere"),
        predict_path=str(tmp_path / "lines.txt"),
        vocabulary=["<unknown>", "a", "b"],
        class_names=["x", "y"],
    )
    data.setup("predict")
    sequences, _, _ = next(iter(data.predict_dataloader()))
    assert sequences.tolist() == [[2, 1]]
    assert (data.vocabulary, data.class_names) == (["<unknown>", "a", "b"], ["x", "y"])


def test_a_class_that_the_checkpoint_does_not_know_is_refused(folder):
    data = Names(folder, vocabulary=["<unknown>", "a"], class_names=["large", "medium"])
    with pytest.raises(
        ValueError, match=r"holds the class small, which the model does not know\. Its classes are large"
    ):
        data.setup("test")


def test_what_is_not_there_is_named(tmp_path, folder):
    with pytest.raises(
        FileNotFoundError, match=r"--data\.path nowhere: there is no such folder or \.csv file, neither .* nor below"
    ):
        Names("nowhere", root=str(tmp_path)).setup("fit")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"empty holds no \.txt file: expected one for each class"):
        Names("empty", root=str(tmp_path)).setup("fit")
    with pytest.raises(FileNotFoundError, match=r"--data\.predict_path gone\.txt: there is no such file"):
        Names(folder, predict_path="gone.txt").setup("predict")
    (tmp_path / "nothing.txt").write_text("")
    with pytest.raises(ValueError, match=r"nothing\.txt is empty: expected one input a line"):
        Names(folder, predict_path=str(tmp_path / "nothing.txt")).setup("predict")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"max_length": 0}, "max_length is 0"),
        ({"chunk_lengths": (50, 10)}, r"chunk_lengths is \[50, 10\]: use the fewest and the most characters"),
        ({"val_fraction": 1.0}, "val_fraction is 1.0: use a number from 0"),
        ({"val_fraction": 0.5, "test_fraction": 0.5}, "leave nothing to train on"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        Names(**options)


def test_what_has_changed_since_a_checkpoint_is_printed(tmp_path, capsys):
    lines = {"x": numbered("x", 30), "y": numbered("y", 30)}
    state = Names(write_classes(tmp_path / "a", lines)).state_dict()
    Names(write_classes(tmp_path / "same", lines)).load_state_dict(state)
    assert capsys.readouterr().err == ""
    lines["x"][0] = "another"
    now = Names(write_classes(tmp_path / "b", {**lines, "y": [*lines["y"], "more"]}))
    now.load_state_dict(state)
    assert capsys.readouterr().err == "the data is not the same as when the checkpoint was written: test 5 -> 6\n"
    now.load_state_dict({})  # of an earlier version
