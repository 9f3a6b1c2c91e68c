"""What is written differently and read as the same is one trial."""

from pathlib import Path

import pytest

from lab.studies.equal_settings import first_places, meaning, meaning_of_setting, without_repetitions

PATH = Path("study.yaml")


@pytest.mark.parametrize(
    ("one", "other"),
    [("1e-3", 0.001), (1, 1.0), ("1", 1), (True, "true"), ("True", True), (None, "null"), ([1, "2"], [1.0, 2])],
)
def test_the_same_value(one, other):
    assert meaning("model.x", one) == meaning("model.x", other)


@pytest.mark.parametrize(
    ("one", "other"), [(1, True), (0, False), (None, "none"), ("a", "b"), ([1, 2], [2, 1]), (2**53, 2**53 + 1)]
)
def test_another_value(one, other):
    assert meaning("model.x", one) != meaning("model.x", other)


def test_one_batch_is_not_all_of_them():
    assert meaning("trainer.limit_train_batches", 1) != meaning("trainer.limit_train_batches", 1.0)
    assert meaning("trainer.limit_train_batches", "1") == meaning("trainer.limit_train_batches", 1)
    assert meaning("trainer.max_epochs", 1) == meaning("trainer.max_epochs", 1.0)


def test_the_order_of_options_means_nothing():
    assert meaning_of_setting({"a": 1, "b": {"x": 1, "y": 2}}) == meaning_of_setting({"b": {"y": 2, "x": 1}, "a": 1.0})


def test_what_is_no_yaml_is_text():
    assert meaning("x", "[") == '"["'
    assert first_places(["b", "a", "b", "c", "a"]) == [0, 1, 3]


def test_a_grid(capsys):
    grid = {"lr": ["1e-3", 0.001, 0.01, 0.01], "width": [8, 16]}
    assert without_repetitions(PATH, "grid", grid, []) == ({"lr": ["1e-3", 0.01], "width": [8, 16]}, [])
    assert capsys.readouterr().err == ("study.yaml: value of lr 0.001, 0.01: equal to an earlier one, tried once\n")


def test_a_list_with_its_labels(capsys):
    settings = [{"lr": 1, "w": 2}, {"lr": 3}, {"w": 2.0, "lr": "1"}]
    found = without_repetitions(PATH, "list", settings, ["a", "b", "c"])
    assert found == ([{"lr": 1, "w": 2}, {"lr": 3}], ["a", "b"])
    assert "setting {'w': 2.0, 'lr': '1'}: equal" in capsys.readouterr().err
    assert without_repetitions(PATH, "list", settings, [])[1] == []


def test_a_search(capsys):
    space = {"lr": {"low": 1, "high": 2}, "w": {"choices": [1, 1.0, 2]}}
    assert without_repetitions(PATH, "search", space, []) == ({**space, "w": {"choices": [1, 2]}}, [])
    assert without_repetitions(PATH, "grid", {"w": [1, 2]}, []) == ({"w": [1, 2]}, [])
    assert capsys.readouterr().err.count("\n") == 1
