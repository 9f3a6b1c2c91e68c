"""The words that start this program, as its messages print them."""

import shlex
import sys
from pathlib import Path

CONSOLE_SCRIPT = "lightning-models"


def program() -> str:
    """`lightning-models` if it was started as the installed script, else `python cli.py`, which works in a checkout."""
    return CONSOLE_SCRIPT if Path(sys.argv[0]).stem == CONSOLE_SCRIPT else "python cli.py"


def command_line(*words: str) -> str:
    """A command of this project, quoted for a shell whatever characters a folder's name has."""
    return f"{program()} {shlex.join(words)}"
