"""YAML in which a key stands twice is refused, and names both lines."""

import re

import pytest
import yaml

from lab.errors import UserError
from lab.yaml_files import check_keys, parse_yaml, read_yaml

TWICE = {
    "at the top": ("a: 1\nb: 2\na: 3\n", "a", 1, 3),
    "below": ("top:\n  x: 1\n  y: {p: 1}\n  x: 2\n", "x", 2, 4),
    "in a list": ("- {k: 1}\n- j: 1\n  'j': 2\n", "j", 2, 3),
    "in one line": ("{a: 1, a: 2}", "a", 1, 1),
    "of a mapping that is named": ("x: &x {a: 1,\n a: 2}\ny: *x\n", "a", 1, 2),
    "a dotted one": ("grid:\n  model.lr: [1]\n  model.lr: [2]\n", "model.lr", 2, 3),
}


@pytest.mark.parametrize(("text", "key", "first", "second"), TWICE.values(), ids=TWICE)
def test_a_key_that_stands_twice(text, key, first, second):
    message = f"study.yaml has the key {key} in line {first} and again in line {second}: keep one of them"
    with pytest.raises(UserError, match=f"^{re.escape(message)}$"):
        check_keys(text, "study.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a: {x: 1}\nb: {x: 1}\n",
        "base: &b {x: 1}\nmore: {<<: *b, x: 2}\n",  # what is merged in may be overridden
        "1: a\n'1': b\n",
        "a: &a {x: *a}\n",  # a circle
        "? [1, 2]\n: x\n? [1, 2]\n: y\n",  # no key of an option
    ],
)
def test_what_is_no_repetition(text):
    check_keys(text, "x")


def test_values_are_those_of_the_given_reader():
    assert parse_yaml("lr: 1e-3", "x") == {"lr": "1e-3"}
    assert parse_yaml("lr: 1e-3", "x", len) == 8
    with pytest.raises(UserError, match=r"^x is not valid YAML: while parsing"):
        parse_yaml("a: [", "x")
    with pytest.raises(UserError, match=r"^x is not valid YAML: month must be in"):
        parse_yaml("a: 2023-13-45", "x")
    with pytest.raises(yaml.YAMLError):
        check_keys("a: [", "x")


def test_files_that_cannot_be_read(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("a: ä", encoding="latin-1")
    with pytest.raises(UserError, match=r"a\.yaml is not UTF-8 \(.*: save it as UTF-8"):
        read_yaml(path)
    with pytest.raises(UserError, match=r"^the study cannot be read: Is a directory"):
        read_yaml(tmp_path, "the study")
    path.write_text("a: ä", encoding="utf-8")
    assert read_yaml(path) == {"a": "ä"}
