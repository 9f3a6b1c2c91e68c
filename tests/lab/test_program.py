import sys

import pytest

from lab.program import command_line, program


@pytest.mark.parametrize(
    ("started", "expected"),
    [
        ("/usr/bin/lightning-models", "lightning-models"),
        ("lightning-models.exe", "lightning-models"),
        ("cli.py", "python cli.py"),
        ("/lightning-models/cli.py", "python cli.py"),
        ("-c", "python cli.py"),
    ],
)
def test_the_words_that_start_the_program(monkeypatch, started, expected):
    monkeypatch.setattr(sys, "argv", [started, "fit"])
    assert program() == expected
    assert command_line("report", "my runs") == f"{expected} report 'my runs'"
