"""The storage of a study's trials: a journal in its folder, a database, or Optuna's gRPC proxy."""

import os
import re
from pathlib import Path

from optuna.storages import BaseStorage, GrpcStorageProxy, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

from lab.errors import UserError


def open_storage(url: str | None, study_dir: Path) -> BaseStorage:
    """The journal in the study's folder, a database, or Optuna's gRPC proxy.

    Raises:
        UserError: if it cannot be reached.
        UserError: if the study's trials are stored elsewhere.
    """
    journal = study_dir / "journal.log"
    if url is None:
        if (study_dir / "results.csv").exists() and not journal.exists():
            raise UserError(
                f"the trials of {study_dir} are stored in a storage: give the --storage that it was started with"
            )
        return open_journal(journal)
    if journal.exists():
        raise UserError(
            f"the trials of {study_dir} are stored in {journal}: leave --storage out, or choose another folder"
        )
    try:
        if url.startswith("grpc://"):
            host, _, port = url.removeprefix("grpc://").partition(":")
            proxy = GrpcStorageProxy(host=host, port=int(port or 13000))
            proxy.wait_server_ready(timeout=20)
            return proxy
        return RDBStorage(url, engine_kwargs={"pool_pre_ping": True})
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(
            f"the storage {without_password(url)} cannot be used ({reason[:200]}): start it, correct its address "
            "(such as postgresql+psycopg://user:password@host/database or grpc://host:13000), or leave --storage out"
        ) from error


def without_password(text: str) -> str:
    """`text` with the password of each URL in it replaced by `***`."""
    text = re.sub(r"(\w://[^:/@\s]*):[^@\s]*@", r"\1:***@", text)
    return re.sub(r"([?&](?:ssl)?password=)[^&\s'\"]*", r"\1***", text, flags=re.IGNORECASE)


class MendingLock(JournalFileSymlinkLock):
    """Removes a last line that a full disk or a kill has cut off, before anything is appended.

    Optuna skips such a line while it is the last one; joined with the next line it would make the journal unreadable.
    """

    def __init__(self, journal: str) -> None:
        super().__init__(journal)
        self.journal = Path(journal)

    def acquire(self) -> bool:
        """Take the lock, and mend the journal if need be."""
        taken = super().acquire()
        try:
            cut_off_unfinished_line(self.journal)
        except BaseException:
            self.release()
            raise
        return taken


def open_journal(path: Path) -> JournalStorage:
    """The journal at `path`; it is made if it is not there.

    The path is made absolute: a relative one makes the lock's link point nowhere, and Optuna would wait for ever for
    a lock that a killed process has left.
    """
    file = str(path.resolve())
    return JournalStorage(JournalFileBackend(file, lock_obj=MendingLock(file)))


def cut_off_unfinished_line(path: Path) -> None:
    """Shorten the file to its last line break."""
    with path.open("rb+") as file:
        size = file.seek(0, os.SEEK_END)
        if size == 0:
            return
        file.seek(size - 1)
        if file.read(1) == b"\n":
            return
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
