"""How a command ends: a user's mistake in one message, a bug in its traceback."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import jsonargparse

from lab.errors import INTERRUPTED, UserError

OWN_CODE = [Path(__file__).parents[2] / name for name in ("datamodules", "lab", "lightning_models")]
JSONARGPARSE = [Path(jsonargparse.__file__).parent]


@contextmanager
def explained() -> Iterator[None]:
    """Turn a user's mistake into a line on stderr and exit status 2.

    A mistake is a UserError, or a ValueError or OSError that this project itself raises. The same errors raised deep
    inside a library are bugs of ours and keep their traceback. JSONARGPARSE_DEBUG=1 keeps it for all. Ctrl-C ends with
    status 130, as in a shell.
    """
    try:
        yield
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except Exception as error:
        mistake = user_mistake(error)
        if mistake is None or os.environ.get("JSONARGPARSE_DEBUG"):
            raise
        print(f"error: {mistake}", file=sys.stderr)
        sys.exit(2)


def user_mistake(error: BaseException | None) -> BaseException | None:
    """The user's mistake that `error` is or, raised again by jsonargparse with its own text around, contains."""
    while error is not None:
        if isinstance(error, UserError) or (isinstance(error, (ValueError, OSError)) and raised_in(error, OWN_CODE)):
            return error
        if not raised_in(error, JSONARGPARSE):
            return None
        error = error.__cause__ or error.__context__
    return None


def raised_in(error: BaseException, folders: list[Path]) -> bool:
    """Whether the `raise` statement stands in a file of these folders."""
    frame: TracebackType | None = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    if frame is None:
        return False
    file = Path(frame.tb_frame.f_code.co_filename).resolve()
    return any(folder.resolve() in file.parents for folder in folders)
