"""How far a process is: samples and CPU seconds in a small file that another process reads at any time."""

import mmap
import struct
import time
from dataclasses import dataclass
from pathlib import Path

RECORD = struct.Struct("dd")


@dataclass(frozen=True)
class Done:
    """Since the start of a process.

    Args:
        samples: trained on.
        cpu: seconds of all its threads, user and system, at the end of the last batch.
    """

    samples: float
    cpu: float


class Progress:
    """What a process has done, in the file `path`; the process that makes it writes, others read."""

    def __init__(self, path: Path, writes: bool) -> None:
        if writes:
            path.write_bytes(RECORD.pack(0, 0))
        with path.open("r+b") as file:
            self.memory = mmap.mmap(file.fileno(), RECORD.size)
        self.samples = 0

    def add(self, samples: int) -> None:
        """A batch is done."""
        self.samples += samples
        RECORD.pack_into(self.memory, 0, self.samples, time.process_time())

    def read(self) -> Done:
        return Done(*RECORD.unpack_from(self.memory))


def is_made(path: Path) -> bool:
    """Whether a process has made its `Progress` here."""
    return path.exists() and path.stat().st_size == RECORD.size
