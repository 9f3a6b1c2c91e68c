"""The parser of the commands that are not Lightning's."""

import argparse
from typing import NoReturn

from lab.errors import UserError
from lab.program import program


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that raises a UserError for a mistake and accepts no abbreviated options."""

    def __init__(self, command: str, description: str) -> None:
        super().__init__(prog=f"{program()} {command}", description=description, allow_abbrev=False)
        self.command = command

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print and exit with."""
        raise UserError(f"{message} (`{program()} {self.command} --help` lists the options)")
