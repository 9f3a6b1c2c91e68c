from types import SimpleNamespace

import pytest

from datamodules.checks import check_fractions
from datamodules.described_data import changes_text, content_hash
from datamodules.sequences.names import Names
from datamodules.splits import hash_fraction, is_held_out, split_of_folder
from lab.errors import UserError

BEFORE = {"train": 36, "val": 4, "hash": "a"}


@pytest.mark.parametrize(
    ("now", "text"),
    [
        (BEFORE, ""),
        ({**BEFORE, "hash": "b"}, "other contents of the same size"),
        ({"train": 40, "val": 4, "hash": "b"}, "train 36 -> 40"),
        ({"train": 40, "val": 0, "classes": 2, "hash": "a"}, "train 36 -> 40, val 4 -> 0, classes unknown -> 2"),
    ],
)
def test_changes_of_the_data_in_words(now, text):
    assert changes_text(BEFORE, now) == text


def test_the_hash_of_contents_sees_their_order_and_where_they_end():
    hashes = {content_hash(contents) for contents in ([b"ab", b"c"], [b"a", b"bc"], [b"c", b"ab"], [b"abc"], [])}
    assert len(hashes) == 5
    assert content_hash([b"ab", b"c"]) == content_hash(iter([b"ab", b"c"]))


def test_hash_fractions_never_change():
    assert hash_fraction("cats/01.png", "val 0") == pytest.approx(0.8634067062, abs=1e-9)
    assert hash_fraction("caf\udce9.png", "val 0") != hash_fraction("caf\udce8.png", "val 0")


def test_a_sample_below_the_fraction_is_held_out_and_no_other():
    names = [str(number) for number in range(1000)]
    held_out = is_held_out(names, ["x"] * 1000, 0.3, "key")
    assert held_out == [hash_fraction(name, "key") < 0.3 for name in names]
    assert is_held_out(names, ["x"] * 1000, 0.0, "key") == [False] * 1000


def test_of_enough_samples_at_least_one_is_held_out():
    names = ["a", "b", "c", "d"]
    places = [hash_fraction(name, "key") for name in names]
    fraction = min(places) * 0.999
    assert is_held_out(names, ["x"] * 4, fraction, "key") == (
        [place == min(places) for place in places] if round(fraction * 4) else [False] * 4
    )
    assert is_held_out(["a"], ["x"], 0.99, "key") == [False]


@pytest.mark.parametrize(
    ("name", "split"), [("Train", "train"), ("VALID", "val"), ("testing", "test"), ("cats", None), ("trains", None)]
)
def test_splits_of_folders(name, split):
    assert split_of_folder(name) == split


def test_a_sample_at_the_fraction_itself_is_not_held_out():
    names = sorted("abcdefgh", key=lambda name: hash_fraction(name, "key"))
    held_out = is_held_out(names, ["x"] * 8, hash_fraction(names[3], "key"), "key")
    assert held_out == [True] * 3 + [False] * 5


def test_a_prediction_does_not_ask_for_the_data_of_the_training(capsys):
    data = Names("gone")
    data.trainer = SimpleNamespace(predicting=True)
    data.load_state_dict({"fingerprint": BEFORE})
    assert capsys.readouterr().err == ""
    data.trainer = SimpleNamespace(predicting=False)
    with pytest.raises(UserError, match="there is no such folder"):
        data.load_state_dict({"fingerprint": BEFORE})


@pytest.mark.parametrize(
    ("val_fraction", "test_fraction", "message"),
    [
        (-0.1, 0.0, "val_fraction is -0.1"),
        (0.0, -0.1, "test_fraction is -0.1"),
        (0.0, 1.0, "test_fraction is 1.0"),
        (0.5, 0.5, "val_fraction 0.5 and test_fraction 0.5 leave nothing to train on"),
    ],
)
def test_fractions_are_checked_each_and_together(val_fraction, test_fraction, message):
    with pytest.raises(UserError, match=message):
        check_fractions(val_fraction, test_fraction)


def test_fractions_at_their_bounds_are_fine():
    check_fractions(0.0, 0.0)
    check_fractions(0.5, 0.49)
