"""The parser of the commands that are not Lightning's."""

import argparse
from typing import NoReturn

from lab.errors import UserError


class Parser(argparse.ArgumentParser):
    """argparse that raises this project's error, so that all commands speak alike, and takes no abbreviations."""

    def __init__(self, prog: str, description: str) -> None:
        super().__init__(prog=prog, description=description, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print and exit with."""
        raise UserError(f"{message} (`python cli.py {self.prog.split()[-1]} --help` lists the options)")
