import pytest

from datamodules.sequences.line_folder import divide, read_classes
from datamodules.sequences.names import Names
from tests.datamodules.sequences.line_files import numbered, write_classes


def wrong(tmp_path, classes, **options):
    data = Names(write_classes(tmp_path / "data", classes), **options)
    data.setup("fit")


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


def test_composed_and_decomposed_letters_are_the_same(tmp_path):
    path = write_classes(tmp_path, {"x": ["Ste\u0301phane", "St\u00e9phane", "other"], "y": ["third", "fourth"]})
    data = Names(path, val_fraction=0, test_fraction=0)
    assert data.duplicates.repeated == 1
    assert "\u00e9" in data.vocabulary
    assert "\u0301" not in data.vocabulary


def test_files_of_other_systems_are_read(tmp_path):
    (tmp_path / "x.txt").write_bytes(b"\xef\xbb\xbfone\r\n\r\n  two  \r\n")
    (tmp_path / "y.txt").write_bytes(b"three\x0bfour\rfive")
    data = Names(str(tmp_path), val_fraction=0, test_fraction=0)
    assert data.lines["train"] == {"x": ["one", "two"], "y": ["three\x0bfour", "five"]}


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


def test_a_class_without_training_lines_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"holds the class z, which .*train does not have"):
        wrong(tmp_path, {"train/x": ["one"], "train/y": ["two"], "test/z": ["three"]})
    with pytest.raises(ValueError, match="all lines of the class y stand in val or test as well"):
        wrong(tmp_path / "second", {"train/x": ["one"], "train/y": ["two"], "test/x": ["two"]})


def test_a_file_of_a_class_may_end_in_capitals(tmp_path):
    for name in ("Greek.TXT", "French.txt"):
        (tmp_path / name).write_text("\n".join(f"{name[0]}{letter}" for letter in "abcdefghijkl"))
    assert Names(path=str(tmp_path)).class_names == ["French", "Greek"]


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
