"""sync uploads what was recorded offline: each part of a run once, the oldest first."""

import os

import pytest

import cli
from lightning_models.tracking import wandb_server, wandb_upload
from lightning_models.tracking.wandb_runs import PENDING
from tests.lightning_models.tracking.stand_in_server import StandInServer


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(wandb_server, "LOST", {})
    server = StandInServer()
    monkeypatch.setattr(wandb_server, "server_url", lambda: server.url)
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    yield server
    server.end()


@pytest.fixture
def uploads(monkeypatch):
    """The parts given to `wandb sync`, which succeeds, except with those of the id "bad"."""
    given = []

    def run(command, **options):
        given.append(os.path.basename(command[-1]))
        failed = command[-1].endswith("bad")
        return wandb_upload.subprocess.CompletedProcess(
            command, int(failed), "", "wandb: hello\nwandb: no space\n" * failed
        )

    monkeypatch.setattr(wandb_upload.subprocess, "run", run)
    return given


def part(run, name, *files):
    folder = run / "wandb" / name
    folder.mkdir(parents=True)
    for file in (f"run-{name.rsplit('-', 1)[1]}.wandb", *files):
        (folder / file).touch()
    return folder


def test_every_part_below_a_folder_is_uploaded_once_the_oldest_first(tmp_path, server, uploads, capsys):
    second = part(tmp_path / "a", "offline-run-20260102_000000-aaaa")
    part(tmp_path / "a", "offline-run-20260101_000000-aaaa")
    part(tmp_path / "b", "run-20260101_120000-bbbb", PENDING)  # sent while it trained, but not to its end
    part(tmp_path / "b", "run-20260103_000000-bbbb")
    part(tmp_path / "c", "offline-run-20260101_000000-cccc", "run-cccc.wandb.synced")
    (tmp_path / "a" / "wandb" / "latest-run").symlink_to(second)
    cli.main(["sync", str(tmp_path)])
    assert uploads == [
        "offline-run-20260101_000000-aaaa",
        "run-20260101_120000-bbbb",
        "offline-run-20260102_000000-aaaa",
    ]
    assert capsys.readouterr().out.count("uploaded\n") == 3
    cli.main(["sync", str(tmp_path)])
    assert len(uploads) == 3
    assert "no run is left to upload" in capsys.readouterr().out


def test_one_that_fails_is_named_and_stays(tmp_path, server, uploads, capsys):
    part(tmp_path / "a", "offline-run-20260101_000000-bad")
    part(tmp_path / "b", "offline-run-20260102_000000-good")
    for _ in range(2):
        with pytest.raises(SystemExit) as ended:
            cli.main(["sync", str(tmp_path)])
        assert ended.value.code == 1
        assert capsys.readouterr().err.rstrip().endswith("offline-run-20260101_000000-bad  wandb: no space")
    assert [name.rsplit("-", 1)[1] for name in uploads] == ["bad", "good", "bad"]


def refused(capsys, folder):
    with pytest.raises(SystemExit) as ended:
        cli.main(["sync", str(folder)])
    assert ended.value.code == 2
    return capsys.readouterr().err


def test_what_cannot_be_uploaded(tmp_path, server, uploads, capsys, monkeypatch):
    assert "is not a folder" in refused(capsys, tmp_path / "none")
    part(tmp_path, "offline-run-20260101_000000-aaaa")
    server.fails = 401
    assert "it does not accept the API key" in refused(capsys, tmp_path)
    monkeypatch.delenv("WANDB_API_KEY")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "wandb login" in refused(capsys, tmp_path)
    assert uploads == []


@pytest.mark.slow
def test_wandb_uploads_a_run(tmp_path, monkeypatch):
    import wandb

    run = wandb.init(mode="offline", dir=tmp_path, project="p", settings=wandb.Settings(silent=True, console="off"))
    run.log({"loss": 0.123})
    run.finish()
    server = StandInServer()
    monkeypatch.setattr(wandb_server, "LOST", {})
    monkeypatch.setattr(wandb_server, "server_url", lambda: server.url)
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    cli.main(["sync", str(tmp_path)])
    server.end()
    assert any("0.123" in body for body in server.bodies("file_stream"))
    assert not wandb_upload.parts_to_upload(tmp_path)
