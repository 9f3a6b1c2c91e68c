"""Lines and their classes from a CSV file with the columns `label` and `text`, as Kaggle tasks give them."""

import csv
import io
from pathlib import Path

from datamodules.sequences.line_folder import LinesOfClass
from datamodules.text_files import read_text
from datamodules.vocabulary import normalized
from lab.errors import UserError
from lab.files import displayable

COLUMNS = ("label", "text")
DELIMITERS = (",", ";", "\t", "|")  # spreadsheets write semicolons where the comma is the decimal mark


def read_csv(path: Path, ascii_only: bool) -> LinesOfClass:
    """The lines of each class, in the order of the classes' names; other columns and empty texts are left out.

    Raises:
        UserError: if a column is missing, a row is cut short or has no label, or there is a single class.
    """
    name, content = displayable(str(path)), read_text(path)
    longest = csv.field_size_limit(max(csv.field_size_limit(), len(content)))  # of the process; 131,072 at first
    try:
        rows = csv.reader(io.StringIO(content), delimiter=delimiter_of(content))
        header = columns_of(next(rows, []))
        if missing := [column for column in COLUMNS if column not in header]:
            raise UserError(
                f"{name} has no column `{missing[0]}`: its first row is {', '.join(header) or 'empty'}, expected the "
                "names of the columns, among them `label` and `text`"
            )
        label_column, text_column = map(header.index, COLUMNS)
        classes: LinesOfClass = {}
        for row in rows:
            if not "".join(row).strip():
                continue
            if len(row) <= max(label_column, text_column) or not (label := row[label_column].strip()):
                raise UserError(f"{name}, line {rows.line_num}: expected a label and a text, found {row}")
            if line := normalized(" ".join(row[text_column].split()), ascii_only):
                classes.setdefault(label, []).append(line)
    except csv.Error as error:
        raise UserError(f"{name}, line {rows.line_num}, is not CSV: {error}") from error
    finally:
        csv.field_size_limit(longest)
    if len(classes) < 2:
        raise UserError(f"{name} holds {len(classes)} classes: a classifier needs at least two")
    return dict(sorted(classes.items()))


def delimiter_of(content: str) -> str:
    """What stands between the columns: the first of DELIMITERS at which the first row has both COLUMNS, or a comma."""
    first_row = content.partition("\n")[0]
    return next(
        (
            one
            for one in DELIMITERS
            if set(COLUMNS) <= set(columns_of(next(csv.reader([first_row], delimiter=one), [])))
        ),
        DELIMITERS[0],
    )


def columns_of(row: list[str]) -> list[str]:
    """The names of the columns in lower case, without blanks around them."""
    return [column.strip().lower() for column in row]
