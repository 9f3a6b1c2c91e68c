"""Databases that many workers open at once, that stop, and that another version of Optuna made."""

import multiprocessing
import socket
import sqlite3
import subprocess
import sys

import pytest
from optuna.exceptions import StorageInternalError

from lab.errors import UserError
from lab.studies import engine
from lab.studies.storage import is_database_error, open_storage
from tests.lab.studies.small_studies import opened, run, write

WORKERS = 12


def database(path):
    """A new one in a file, with Optuna's tables."""
    storage = open_storage(f"sqlite:///{path}", path.parent)
    storage.remove_session()
    storage.engine.dispose()
    return f"sqlite:///{path}"


@pytest.mark.parametrize("version", ["v1.3.0.a", "v99.0.0.a"])
def test_a_database_of_another_version_of_optuna(tmp_path, capsys, version):
    url = database(tmp_path / "s.db")
    with sqlite3.connect(tmp_path / "s.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (version,))
    connection.close()
    run(write(tmp_path / "s.yaml"), tmp_path / "study", "--storage", url, status=2)
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"error: the tables in the storage {url} are of another version of Optuna than this one, " in error
    assert "use an empty database, or the Optuna that made them" in error
    assert not (tmp_path / "study").exists()


def test_a_database_that_stops_ends_the_worker_and_fails_no_trial(tmp_path, monkeypatch, fake):
    study, queue = opened(write(tmp_path / "s.yaml"), tmp_path / "study")

    def stopped(*args):
        raise StorageInternalError("the server closed the connection")

    monkeypatch.setattr(engine, "run_trial", stopped)
    with pytest.raises(UserError, match="start the storage again; then the same command resumes"):
        engine.work(study, tmp_path / "study", queue)
    queue.read()
    assert [trial.state.name for trial in queue.trials] == ["RUNNING"]


def test_errors_of_a_run_are_not_those_of_the_storage():
    assert is_database_error(StorageInternalError())
    assert not is_database_error(OSError(28, "No space left on device"))
    grpc = pytest.importorskip("grpc")
    assert is_database_error(grpc.RpcError())


def places_taken(file, study_dir, url, barrier, taken):
    """A worker that begins at the same moment as the others, and takes two places."""
    barrier.wait()
    try:
        queue = engine.open_queue(engine_study(file), study_dir, url)
        taken.put([queue.take()[0] for _ in range(2)])
        barrier.wait()  # the places of a process that is gone come back
    except BaseException as error:
        taken.put(f"{type(error).__name__}: {error}")
        barrier.abort()
        raise


def engine_study(file):
    from lab.studies.study_file import read_study

    return read_study(file)


def all_at_once(tmp_path, url):
    """What WORKERS processes take, which begin at the same moment."""
    file = write(tmp_path / "s.yaml", seeds=list(range(WORKERS)))
    spawn = multiprocessing.get_context("spawn")
    barrier, taken = spawn.Barrier(WORKERS), spawn.Queue()
    arguments = (file, tmp_path / "study", url, barrier, taken)
    processes = [spawn.Process(target=places_taken, args=arguments) for _ in range(WORKERS)]
    for process in processes:
        process.start()
    found = [taken.get(timeout=200) for _ in processes]
    for process in processes:
        process.join()
    assert not [error for error in found if isinstance(error, str)]
    return sorted(place for places in found for place in places)


@pytest.mark.slow
def test_workers_that_begin_at_once_on_an_empty_database(tmp_path, postgresql):
    assert all_at_once(tmp_path, postgresql) == list(range(2 * WORKERS))


PROXY = """
import sys, warnings, optuna
warnings.simplefilter("ignore")
optuna.storages.run_grpc_proxy_server(optuna.storages.get_storage(sys.argv[1]), host="127.0.0.1", port=int(sys.argv[2]))
"""


@pytest.fixture
def proxy(postgresql):
    """The address of Optuna's gRPC proxy before an empty database."""
    pytest.importorskip("grpc")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen([sys.executable, "-c", PROXY, postgresql, str(port)]) as process:
        yield f"grpc://127.0.0.1:{port}"
        process.kill()


@pytest.mark.slow
def test_workers_that_begin_at_once_through_the_proxy(tmp_path, proxy):
    assert all_at_once(tmp_path, proxy) == list(range(2 * WORKERS))
