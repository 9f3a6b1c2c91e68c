"""A user's mistake ends in one message; a bug in its traceback."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

OWN_CODE = [Path(__file__).parents[1] / name for name in ("commands", "datamodules", "lightning_models")]


class UserError(Exception):
    """What the user asked for cannot be done; the message says why and what to do."""


@contextmanager
def explained() -> Iterator[None]:
    """Turn a UserError, and a ValueError or OSError that this project itself raises, into a line and exit status 2.

    The same errors raised deep inside a library are bugs of ours and keep their traceback. JSONARGPARSE_DEBUG=1 keeps it
    for all.
    """
    try:
        yield
    except (UserError, ValueError, OSError) as error:
        if os.environ.get("JSONARGPARSE_DEBUG") or not (isinstance(error, UserError) or raised_here(error)):
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def raised_here(error: BaseException) -> bool:
    """Whether the `raise` statement stands in this project's own code."""
    frame: TracebackType | None = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    if frame is None:
        return False
    file = Path(frame.tb_frame.f_code.co_filename).resolve()
    return any(folder.resolve() in file.parents for folder in OWN_CODE)
