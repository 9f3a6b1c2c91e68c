import io
import sys

import pytest
import torch

from datamodules.sequences.line_folder import divide, read_classes
from datamodules.sequences.names import Languages, Names
from datamodules.sequences.pieces import cut

WORDS = ["Ångström", "Öberg", "Lindqvist", "Berg", "Ek", "Dahl", "Holm", "Lund", "Sjö", "Ström"]


def write_classes(folder, classes):
    """A folder with one file a class."""
    for name, lines in classes.items():
        path = folder / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return str(folder)


def numbered(prefix, count):
    return [f"{prefix}{number}" for number in range(count)]


@pytest.fixture
def folder(tmp_path):
    """Two classes that share a name, with repetitions."""
    return write_classes(
        tmp_path / "names", {"large": [*numbered("a", 100), "a1", "both"], "small": [*numbered("b", 20), "both"]}
    )


def texts(data, batch):
    """The lines of a batch as text again."""
    sequences, lengths, labels = batch
    characters = ["·", *data.vocabulary[1:]]
    lines = ["".join(characters[n] for n in row[:length]) for row, length in zip(sequences, lengths, strict=True)]
    return list(zip(lines, [data.class_names[label] for label in labels], strict=True))


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


def test_the_parts_are_stratified_and_share_no_line(folder):
    data = Names(folder)
    parts = {part: {line for lines in classes.values() for line in lines} for part, classes in data.lines.items()}
    assert sum(map(len, parts.values())) == 121  # 100 + 20 + the shared one
    assert len(set().union(*parts.values())) == 121
    assert [len(data.lines[part]["large"]) for part in ("val", "test")] == [12, 13]  # by hashes: about a tenth
    where = [part for part, classes in data.lines.items() for lines in classes.values() if "both" in lines]
    assert len(where) == 2
    assert len(set(where)) == 1
    assert data.duplicates.repeated == 1
    assert data.duplicates.ambiguous == ["both"]


def test_another_seed_divides_otherwise(folder):
    assert Names(folder).lines == Names(folder).lines
    assert Names(folder).lines != Names(folder, split_seed=1).lines


def test_given_parts_are_kept_and_what_stands_in_two_is_told(tmp_path, capsys):
    parts = {"train/x": ["one", "two", "three"], "train/y": ["un", "deux"], "val/x": ["two"], "val/y": ["six"]}
    parts |= {"test/x": ["four"], "test/y": ["deux", "deux"]}
    data = Names(write_classes(tmp_path, parts))
    data.setup("fit")
    assert data.lines["train"] == {"x": ["one", "three"], "y": ["un"]}
    assert data.lines["val"] == {"x": ["two"], "y": ["six"]}
    assert data.lines["test"] == {"x": ["four"], "y": ["deux"]}
    assert (data.duplicates.repeated, data.duplicates.across_splits) == (1, 2)
    told = capsys.readouterr().err
    assert "2 classes; 3 train, 2 val, 2 test; repeated lines left out: 1; left out because a later split has" in told


def test_unicode_is_kept_or_folded(tmp_path):
    path = write_classes(tmp_path, {"swedish": WORDS, "polish": ["Łukasz", "Żółć", "Straße", "Дом"]})
    kept, folded = Names(path, val_fraction=0, test_fraction=0), Names(path, ascii_only=True)
    assert "Å" in kept.vocabulary
    assert "ö" in kept.vocabulary
    lines = [line for classes in folded.lines.values() for own in classes.values() for line in own]
    assert {"Angstrom", "Lukasz", "Zolc", "Strasse", "???"} <= set(lines)
    assert all(len(c) == 1 and c.isascii() for c in folded.vocabulary[1:])


def test_composed_and_decomposed_letters_are_the_same(tmp_path):
    path = write_classes(tmp_path, {"x": ["Ste\u0301phane", "St\u00e9phane", "other"], "y": ["third", "fourth"]})
    data = Names(path, val_fraction=0, test_fraction=0)
    assert data.duplicates.repeated == 1
    assert "\u00e9" in data.vocabulary
    assert "\u0301" not in data.vocabulary


def test_the_vocabulary_is_that_of_the_training_lines(tmp_path):
    path = write_classes(tmp_path, {"train/x": ["ab"], "train/y": ["ba"], "test/x": ["aQb"], "test/y": ["b"]})
    data = Names(path)
    data.setup("test")
    assert data.vocabulary == ["<unknown>", "a", "b"]
    assert texts(data, next(iter(data.test_dataloader()))) == [("a·b", "x"), ("b", "y")]


def test_files_of_other_systems_are_read(tmp_path):
    (tmp_path / "x.txt").write_bytes(b"\xef\xbb\xbfone\r\n\r\n  two  \r\n")
    (tmp_path / "y.txt").write_bytes(b"three\x0bfour\rfive")
    data = Names(str(tmp_path), val_fraction=0, test_fraction=0)
    assert data.lines["train"] == {"x": ["one", "two"], "y": ["three\x0bfour", "five"]}


def test_whole_lines_end_at_the_most_characters(tmp_path):
    data = Names(write_classes(tmp_path, {"x": ["a" * 50], "y": ["b"]}), max_length=20, val_fraction=0, test_fraction=0)
    data.setup("fit")
    assert texts(data, next(iter(data.train_dataloader())))[0][0] in ("a" * 20, "b")
    assert next(iter(data.train_dataloader()))[1].max() == 20


# ------------------------------------------------------------------------------------------------------------- pieces


def test_pieces_have_every_length_and_place():
    begins, lengths = torch.full((5000,), 100), torch.full((5000,), 12)
    places, pieces = cut(begins, lengths, (5, 20), torch.Generator().manual_seed(0))
    assert set(pieces.tolist()) == set(range(5, 13))
    assert ((places >= 100) & (places + pieces <= 112)).all()
    fives = places[pieces == 5]
    assert set(fives.tolist()) == set(range(100, 108))
    assert (pieces == 12).float().mean().item() == pytest.approx(9 / 16, abs=0.03)  # of the lengths 12 to 20


def test_training_pieces_change_and_evaluation_pieces_stay(tmp_path):
    lines = {name: [f"{name} {n} " + "the quick brown fox " * 5 for n in range(40)] for name in ("x", "y")}
    data = Languages(write_classes(tmp_path, lines), batch_size=100, split_seed=3)
    data.setup("fit")
    loader = data.train_dataloader()
    first = next(iter(loader))
    loader.set_epoch(1)
    second = next(iter(loader))
    assert first[1].min() >= 10
    assert first[1].max() <= 100
    assert sorted(texts(data, first)) != sorted(texts(data, second))
    everything = [line for lines in data.lines["train"].values() for line in lines]
    assert all(any(piece in line for line in everything) for piece, _ in texts(data, first))
    evaluated = [texts(data, next(iter(data.val_dataloader()))) for _ in range(2)]
    assert evaluated[0] == evaluated[1]
    assert {10 <= len(piece) <= 50 for piece, _ in evaluated[0]} == {True}


# ------------------------------------------------------------------------------------------------------------ predict


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


# ---------------------------------------------------------------------------------------------------------- bad input


def wrong(tmp_path, classes, **options):
    data = Names(write_classes(tmp_path / "data", classes), **options)
    data.setup("fit")


def test_an_empty_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"y\.txt is empty: give it at least one line, or remove it"):
        wrong(tmp_path, {"x": ["one"], "y": ["", "  "]})


def test_the_byte_that_is_not_utf_8_is_named(tmp_path):
    (tmp_path / "x.txt").write_bytes("one\ntwo\nMüller\n".encode("latin-1"))
    with pytest.raises(
        ValueError, match=r"x\.txt is not UTF-8: byte 0xfc at position 9, in line 3\. Find out its encoding"
    ):
        Names(str(tmp_path)).setup("fit")


def test_a_single_class_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"holds one class only, x: a classifier needs at least two files"):
        wrong(tmp_path, {"x": ["one", "two"]})


def test_lines_shorter_than_a_piece_are_refused(tmp_path):
    with pytest.raises(
        ValueError, match="longest line of the class y has 5 characters, but pieces are to have 10 to 5"
    ):
        wrong(tmp_path, {"x": ["long enough for it"] * 3, "y": ["short"]}, chunk_lengths=(10, 50))


def test_a_class_without_training_lines_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"holds the class z, which .*train does not have"):
        wrong(tmp_path, {"train/x": ["one"], "train/y": ["two"], "test/z": ["three"]})
    with pytest.raises(ValueError, match="all lines of the class y stand in val or test as well"):
        wrong(tmp_path / "second", {"train/x": ["one"], "train/y": ["two"], "test/x": ["two"]})


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


def test_a_file_of_a_class_may_end_in_capitals(tmp_path):
    for name in ("Greek.TXT", "French.txt"):
        (tmp_path / name).write_text("\n".join(f"{name[0]}{letter}" for letter in "abcdefghijkl"))
    assert Names(path=str(tmp_path)).class_names == ["French", "Greek"]


# ------------------------------------------------------------------------------- splits that do not depend on the rest


def splits_of(lines):
    """Split by (line, class)."""
    return {(line, name): split for split, classes in lines.items() for name, own in classes.items() for line in own}


def test_added_and_removed_lines_leave_all_others_in_their_splits(tmp_path):
    lines = {"x": numbered("x", 300), "y": numbered("y", 200)}
    before = splits_of(Names(write_classes(tmp_path / "before", lines)).lines)
    after = splits_of(
        Names(
            write_classes(tmp_path / "after", {"x": ["new", *lines["x"][5:], "more"], "y": lines["y"], "z": ["q"]})
        ).lines
    )
    assert {pair: split for pair, split in before.items() if pair in after} == {
        pair: split for pair, split in after.items() if pair in before
    }


def test_splits_by_hash_are_near_the_fractions_and_independent_of_each_other():
    lines = divide({"x": numbered("x", 20_000)}, {"val": 0.1, "test": 0.3}, 0)
    assert [len(lines[split]["x"]) for split in ("train", "val", "test")] == pytest.approx(
        [12_000, 2_000, 6_000], abs=150
    )
    other = divide({"x": numbered("x", 20_000)}, {"val": 0.1, "test": 0.3}, 1)
    both = len(set(lines["val"]["x"]) & set(other["val"]["x"]))
    assert both == pytest.approx(200, abs=50)


def test_every_class_keeps_a_line_to_train_on():
    lines = divide({"x": ["one"], "y": ["one", "two"], "z": numbered("z", 5)}, {"val": 0.5, "test": 0.49}, 0)
    assert all(lines["train"].values())
    assert sum(len(own) for classes in lines.values() for own in classes.values()) == 8


def test_a_small_part_of_few_lines_is_at_least_one_line():
    for seed in range(20):
        lines = divide({"x": numbered("x", 10)}, {"val": 0.05001}, seed)
        assert len(lines["val"]["x"]) >= 1
    assert divide({"x": numbered("x", 3)}, {"val": 0.1}, 0)["val"]["x"] == []


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


def test_folders_of_splits_have_several_names_in_any_case(tmp_path):
    parts = {"Training/x": ["a"], "Training/y": ["b"], "VALIDATION/x": ["c"], "testing/y": ["d"]}
    data = Names(write_classes(tmp_path, parts))
    assert data.lines == {"train": {"x": ["a"], "y": ["b"]}, "val": {"x": ["c"]}, "test": {"y": ["d"]}}
    (tmp_path / "valid").mkdir()
    with pytest.raises(ValueError, match="two folders for one split, VALIDATION/ and valid/: keep one"):
        Names(str(tmp_path)).setup("fit")


def test_hidden_files_are_no_classes_and_names_that_are_not_utf_8_are_displayable(tmp_path):
    path = write_classes(tmp_path, {"x": ["a"], "y": ["b"], "._x": ["c"], ".ipynb_checkpoints/x": ["d"]})
    (tmp_path / "y.TXT").write_text("e")
    with open(path.encode() + b"/caf\xe9.txt", "w") as file:
        file.write("f")
    assert read_classes(tmp_path, ascii_only=False) == {"caf\ufffd": ["f"], "x": ["a"], "y": ["e", "b"]}
