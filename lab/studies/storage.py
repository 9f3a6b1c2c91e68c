"""The storage of a study's trials: a journal in its folder, a database, or Optuna's gRPC proxy."""

import os
import re
import sys
from pathlib import Path

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, GrpcStorageProxy, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

from lab.errors import UserError

LAST_TABLE = "alembic_version"  # of Optuna's tables, made together with its only row
TABLES_LOCK = 8_019_165_744  # a number that nobody else is likely to lock


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
        return open_database(url)
    except UserError:
        raise
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(
            f"the storage {without_password(url)} cannot be used ({without_password(reason[:200])}): start it, correct "
            "its address (such as postgresql+psycopg://user:password@host/database or grpc://host:13000), or leave "
            "--storage out"
        ) from error


def open_database(url: str) -> RDBStorage:
    """A database, in which the first process makes Optuna's tables; on PostgreSQL any number may start at once.

    Raises:
        UserError: if the tables are those of another version of Optuna.
    """
    import sqlalchemy  # which a journal does not need

    from lab.compat.optuna_database import UPSERTS, Database

    engine = sqlalchemy.create_engine(url)
    try:
        with engine.connect() as connection:
            if engine.dialect.name == "postgresql" and not sqlalchemy.inspect(connection).has_table(LAST_TABLE):
                connection.execute(sqlalchemy.text(f"SELECT pg_advisory_lock({TABLES_LOCK})"))  # until it is closed
            # A worker needs one connection, and its heartbeat at times a second one.
            kind = Database if engine.dialect.name in UPSERTS else RDBStorage
            return kind(url, engine_kwargs={"pool_pre_ping": True, "pool_size": 1, "max_overflow": 1})
    except RuntimeError as error:  # Optuna's check of the tables
        raise UserError(
            f"the tables in the storage {without_password(url)} are of another version of Optuna than this one, "
            f"{optuna.__version__}: use an empty database, or the Optuna that made them; or, while no worker runs, "
            "`optuna storage upgrade --storage URL` turns older tables into this version's"
        ) from error
    finally:
        engine.dispose()


def is_database_error(error: Exception) -> bool:
    """Whether the database or the gRPC proxy did not answer."""
    grpc = sys.modules.get("grpc")  # there is no such error before it is imported
    return isinstance(error, StorageInternalError) or (grpc is not None and isinstance(error, grpc.RpcError))


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
