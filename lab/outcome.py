"""How a command ends: one message after a user's mistake, a traceback after a bug."""

import errno
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.errors import INTERRUPTED, MISTAKE, UserError
from lab.files import displayable

REFUSED_BY_THE_SYSTEM = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.ESTALE),
    *(errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.ELOOP),
)
ERROR_FILE = "error.txt"  # in a run folder: the whole traceback of the error that ended the run


@contextmanager
def explained(show_traceback: bool = False) -> Iterator[None]:
    """Turn a UserError into one message on stderr and exit status 2, and Ctrl-C into status 130.

    Whoever finds a mistake of the user's in another exception raises a UserError from it: see
    `lab.training.mistakes`. What the file system refuses (see `refusal`) is treated alike, whichever command writes.
    Every other exception is a bug and propagates.

    Args:
        show_traceback: print the traceback of a UserError, too.
    """
    try:
        yield
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except (UserError, OSError) as error:
        message = str(error) if isinstance(error, UserError) else refusal(error)
        if message is None:
            raise
        if show_traceback:
            traceback.print_exception(error)
        print(f"error: {message}", file=sys.stderr)
        sys.exit(MISTAKE)


def refusal(error: BaseException) -> str | None:
    """What the file system refuses, such as writing to a full disk or a read-only folder; None for any other error."""
    if not isinstance(error, OSError) or error.errno not in REFUSED_BY_THE_SYSTEM:
        return None
    reason = error.strerror or os.strerror(error.errno)
    named = isinstance(error.filename, (str, bytes, os.PathLike))
    return f"{shortened(displayable(os.fsdecode(error.filename)))}: {reason}" if named else reason


def shortened(name: str, most: int = 200) -> str:
    """A path; the middle of one that is too long for a message is left out."""
    return name if len(name) <= most else f"{name[: most // 2]}...{name[-most // 2 :]}"


def write_traceback(error: BaseException, run_dir: Path) -> None:
    """Store the traceback of `error` in the run folder, if the folder is there and can be written."""
    if not run_dir.is_dir():
        return
    try:
        (run_dir / ERROR_FILE).write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    except OSError as failure:
        print(f"the traceback could not be written to {run_dir / ERROR_FILE}: {failure}", file=sys.stderr)
