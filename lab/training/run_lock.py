"""One training at a time in a run folder."""

import fcntl
import os
import sys
import time
from pathlib import Path

from lab.errors import UserError
from lab.stops import end_if_asked

LOCK_FILE = ".lock"


class RunLock:
    """Held by the process that trains in a run folder; a second process is refused.

    It is a POSIX record lock: the system releases it with its process, however that ends; child processes (the loaders'
    workers, which may outlive it by seconds) do not inherit it; and it holds on network file systems, too. Where a file
    system has no locks, nothing is locked. The file is removed on `release`; after a kill it remains and locks nothing.

    Args:
        folder: of the run.
        patience: seconds for which to wait for another process's end. A job that a cluster starts again, because it
            has lost a node, may find the old processes still at work there.

    Raises:
        UserError: if another process trains there, or nothing can be written there.
        SystemExit: if a stop is asked for while it waits.
    """

    def __init__(self, folder: Path, patience: float = 0) -> None:
        self.path = folder / LOCK_FILE
        started, is_told = time.monotonic(), False
        while True:
            try:
                self.file = self.path.open("a")
            except OSError as error:
                raise UserError(f"cannot write to the run folder {folder}: {error.strerror}") from error
            try:
                fcntl.lockf(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError) as error:  # either, as POSIX has it
                self.file.close()
                if time.monotonic() - started < patience:
                    end_if_asked()
                    if not is_told:
                        print(f"another process is training in {folder}: waiting for its end", file=sys.stderr)
                    is_told = True
                    time.sleep(0.5)
                    continue
                raise UserError(
                    f"another process is training in the run folder {folder}: wait for its end, or choose another "
                    "--run_dir"
                ) from error
            except OSError:
                return
            if self.path.exists() and os.path.samestat(os.fstat(self.file.fileno()), self.path.stat()):
                return
            self.file.close()  # its holder has removed it in between: lock the next one

    def release(self) -> None:
        """Let others train here."""
        if not self.file.closed:
            self.path.unlink(missing_ok=True)
            self.file.close()
