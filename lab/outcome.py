"""How a command ends: one message after a user's mistake, a traceback after a bug."""

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.errors import INTERRUPTED, MISTAKE, UserError

ERROR_FILE = "error.txt"  # in a run folder: the whole traceback of the error that ended the run


@contextmanager
def explained(show_traceback: bool = False) -> Iterator[None]:
    """Turn a UserError into one message on stderr and exit status 2, and Ctrl-C into status 130.

    Whoever finds a mistake of the user's in another exception raises a UserError from it: see
    `lab.training.mistakes`. Every other exception is a bug and propagates.

    Args:
        show_traceback: print the traceback of a UserError, too.
    """
    try:
        yield
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except UserError as error:
        if show_traceback:
            traceback.print_exception(error)
        print(f"error: {error}", file=sys.stderr)
        sys.exit(MISTAKE)


def write_traceback(error: BaseException, run_dir: Path) -> None:
    """Store the traceback of `error` in the run folder, if the folder is there and can be written."""
    if not run_dir.is_dir():
        return
    try:
        (run_dir / ERROR_FILE).write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    except OSError as failure:
        print(f"the traceback could not be written to {run_dir / ERROR_FILE}: {failure}", file=sys.stderr)
