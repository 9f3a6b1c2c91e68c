"""A PostgreSQL server of our own: own port, own folder, and only its own processes are ended.

python -m tests.cluster.postgresql      # prints the address of an empty database, and serves it until Ctrl-C
"""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

NOT_INSTALLED = "PostgreSQL's server is not installed (Debian: apt-get install postgresql)"


def programs() -> Path | None:
    """The folder of initdb and pg_ctl; None if PostgreSQL is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    path = shutil.which("initdb")
    return found[-1].parent if found else Path(path).parent if path else None


@contextmanager
def server(*options: str) -> Iterator[str]:
    """The address of an empty database, within the context.

    Args:
        options: of the server, such as `max_connections=200`. Without `fsync=on`, nothing waits for the disk.
    """
    if (bin_dir := programs()) is None:
        raise RuntimeError(NOT_INSTALLED)
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))  # not in tmp_path, which only its owner may enter
    prefix: list[str] = []
    if os.getuid() == 0:  # the server refuses to run as root
        shutil.chown(folder, "postgres", "postgres")
        prefix = ["runuser", "-u", "postgres", "--"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def call(program: str, *arguments: str) -> None:
        command = [*prefix, str(bin_dir / program), "-D", str(folder / "data"), *arguments]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)

    call("initdb", "-U", "study", "--auth=trust", "--no-sync", "--encoding=UTF8")
    settings = " ".join(f"-c {option}" for option in ("listen_addresses=127.0.0.1", "fsync=off", *options))
    call("pg_ctl", "-o", f"-p {port} -k {folder} {settings}", "-l", str(folder / "log"), "-w", "start")
    try:
        yield f"postgresql+psycopg://study@127.0.0.1:{port}/postgres"
    finally:
        call("pg_ctl", "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder)


if __name__ == "__main__":
    with server() as address:
        print(address, flush=True)
        with suppress(KeyboardInterrupt, EOFError):
            input()
