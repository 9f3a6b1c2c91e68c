"""Files that are never seen half-written."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to, which replaces `path` when the block ends without an error.

    Whoever reads `path` sees the old content or the new one, whole, also after a kill or a full disk. After an error
    the unfinished file is removed and `path` is as it was. The folder is made if it does not exist.

        with atomic_write(run_dir / "summary.json") as unfinished:
            unfinished.write_text(text)
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}.unfinished")
    try:
        yield unfinished
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
