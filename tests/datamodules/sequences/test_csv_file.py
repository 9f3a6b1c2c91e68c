import csv

import pytest

from datamodules.sequences.csv_file import read_csv
from datamodules.sequences.names import Names
from lab.errors import UserError


def written(path, text, encoding="utf-8"):
    path.write_text(text, encoding=encoding)
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_lines_and_classes_are_read_from_their_columns(tmp_path, encoding):
    text = 'id,Text , LABEL\r\n1,"Smith, J",b\r\n2,Müller,a\r\n\r\n3,"two\nlines",a\r\n4,,a\r\n'
    path = written(tmp_path / "x.csv", text, encoding)
    assert read_csv(path, ascii_only=False) == {"a": ["Müller", "two lines"], "b": ["Smith, J"]}
    assert read_csv(path, ascii_only=True)["a"] == ["Muller", "two lines"]


def test_tabs_separate_the_columns_of_a_tsv(tmp_path):
    assert read_csv(written(tmp_path / "x.TSV", "label\ttext\na\tone, two\nb\tx\n"), False) == {
        "a": ["one, two"],
        "b": ["x"],
    }


def test_a_cell_may_be_longer_than_the_limit_of_the_csv_module_and_blank_rows_are_none(tmp_path):
    limit, line = csv.field_size_limit(), "x" * 200_000
    found = read_csv(written(tmp_path / "x.csv", f"label,text\na,{line}\n , \n,\nb,y\n"), False)
    assert found == {"a": [line], "b": ["y"]}
    assert csv.field_size_limit() == limit


@pytest.mark.parametrize("delimiter", [";", "|", "\t"])
def test_the_first_row_says_what_separates_the_columns(tmp_path, delimiter):
    rows = [["id", "label", "text"], ["1", "a", "one, two"], ["2", "b", "x"]]
    text = "\n".join(map(delimiter.join, rows))
    assert read_csv(written(tmp_path / "x.csv", text), False) == {"a": ["one, two"], "b": ["x"]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"x.csv has no column `label`: its first row is empty, expected"),
        ("a,one\nb,two\n", r"has no column `label`: its first row is a, one, expected the names of the columns"),
        ("label,name\na,one\n", r"has no column `text`: its first row is label, name"),
        ("label,text\na,one\nb\n", r"x.csv, line 3: expected a label and a text, found \['b'\]"),
        ("label,text\n ,one\n", r"x.csv, line 2: expected a label and a text"),
        ("label,text\na,one\n", r"holds 1 classes: a classifier needs at least two"),
        ("label,text\na,one\nb,a\0b\n", r"is not plain text: character 20, in line 3, is NUL"),
    ],
)
def test_what_is_wrong_with_a_csv_is_named(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        read_csv(written(tmp_path / "x.csv", text), ascii_only=False)


def test_names_are_learnt_from_a_csv_below_the_data_root(tmp_path):
    rows = "".join(f"{'ab'[n % 2]},name{n}\n" for n in range(100))
    written(tmp_path / "names.csv", f"label,text\n{rows}")
    data = Names("names.csv", root=str(tmp_path))
    assert data.class_names == ["a", "b"]
    assert sum(data.split_sizes.values()) == 100
    assert data.found.startswith("names.csv: 2 classes; ")
