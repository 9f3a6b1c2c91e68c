"""Runs in Weights & Biases: what they hold, and that no server, network or key can hold up or end a training."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from pytorch_lightning.loggers import WandbLogger

from lightning_models.tracking import wandb_server
from lightning_models.tracking.wandb_runs import RunLogger, WandbOptions, run_id, skip_sent
from lightning_models.tracking.wandb_server import api_key, ask, why_unusable
from tests.lightning_models.tracking.stand_in_server import StandInServer

ROOT = Path(__file__).parents[3]
KEY = "a" * 40


@pytest.fixture
def server():
    servers = []

    def start(*args, **options):
        servers.append(StandInServer(*args, **options))
        return servers[-1]

    yield start
    for each in servers:
        each.end()


@pytest.fixture
def wandb_of_a_parent():
    """The environment that a process which uses wandb leaves to those that it starts."""
    script = (
        "import os, wandb; wandb.init(mode='offline', dir=os.environ['HOME']); print(os.environ['WANDB_SERVICE'],"
        " flush=True); input()"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield {"WANDB_SERVICE": parent.stdout.readline().strip()}
    parent.communicate("\n")


@pytest.fixture(autouse=True)
def _clean(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(wandb_server, "LOST", {})
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


# ------------------------------------------------------------------------------------------------------ the decision


@pytest.mark.parametrize(
    ("mode", "environment", "key", "expected", "line"),
    [
        (None, None, None, "offline", ""),
        (None, None, KEY, "online", ""),
        (None, "disabled", KEY, "disabled", ""),
        (None, "dryrun", KEY, "offline", ""),
        (None, "run", KEY, "online", ""),
        ("offline", "online", KEY, "offline", ""),
        ("online", None, None, "offline", "there is no API key: use `wandb login` or set WANDB_API_KEY"),
        (None, "online", None, "offline", "there is no API key"),
        (None, "bogus", KEY, "offline", "$WANDB_MODE is 'bogus', expected online, offline, disabled"),
    ],
)
def test_the_mode_of_a_run(monkeypatch, capsys, mode, environment, key, expected, line):
    for name, value in (("WANDB_MODE", environment), ("WANDB_API_KEY", key)):
        if value is not None:
            monkeypatch.setenv(name, value)
    assert WandbOptions(mode=mode).resolved_mode() == expected
    said = capsys.readouterr().err
    assert line in said
    assert said.count("\n") == bool(line)


def test_the_key_is_that_of_the_server(monkeypatch, tmp_path):
    (tmp_path / ".netrc").touch(mode=0o600)
    (tmp_path / ".netrc").write_text(
        "machine api.wandb.ai login user password one\nmachine own login user password two\n"
    )
    assert api_key() == "one"
    assert api_key("https://own/") == "two"
    assert api_key("https://other") is None
    monkeypatch.setenv("WANDB_BASE_URL", "http://own:8080")
    assert api_key() == "two"
    monkeypatch.setenv("WANDB_API_KEY", "three")
    assert api_key() == "three"


@pytest.mark.parametrize(
    ("fails", "reason"),
    [
        ("", ""),
        ("hang", "no answer within 0.3 s"),
        ("reset", "reset"),
        (401, "it does not accept the API key"),
        (403, "it does not accept the API key"),
        (500, "it answers with status 500"),
        (503, "it answers with status 503"),
        (404, ""),  # not an answer that says that no run can be sent
    ],
)
def test_a_server_that_cannot_be_used_is_found_out_in_no_time(server, fails, reason):
    started = time.monotonic()
    found = why_unusable(server(fails).url, patience=0.3)
    assert found == reason if fails != "reset" else reason in found
    assert time.monotonic() - started < 2


def test_a_host_without_a_server_or_without_a_name_cannot_be_used(server):
    gone = server()
    gone.end()
    assert "refused" in why_unusable(gone.url)
    assert why_unusable("http://no-such-host.invalid")


def test_a_name_that_is_looked_up_for_ever_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(wandb_server, "ask", lambda url, patience: time.sleep(5))
    started = time.monotonic()
    assert why_unusable("http://slow", patience=0.1) == "no answer within 0.1 s"
    assert time.monotonic() - started < 2


def test_a_server_that_failed_is_not_asked_again(server):
    stand_in = server(500)
    assert why_unusable(stand_in.url) == why_unusable(stand_in.url) == "it answers with status 500"
    assert len(stand_in.requests) == 1


def test_who_am_i_is_asked_with_the_key(server, monkeypatch):
    stand_in = server()
    seen = []
    monkeypatch.setattr(
        stand_in.RequestHandlerClass, "log_message", lambda self, *args: seen.append(self.headers["Authorization"])
    )
    monkeypatch.setenv("WANDB_API_KEY", "abc")
    assert ask(stand_in.url, 5) == ""
    assert seen == ["Basic YXBpOmFiYw=="]  # api:abc


# -------------------------------------------------------------------------------------------------- parts of one run


def test_all_parts_of_a_run_have_one_id(tmp_path):
    first = run_id(tmp_path)
    assert len(first) == 8
    assert run_id(tmp_path) == first
    assert run_id(tmp_path / "other") != first


def test_a_run_that_has_no_file_with_its_id_has_it_in_the_name_of_its_last_part(tmp_path):
    for name in ("offline-run-20250101_000000-aaaa", "offline-run-20250102_000000-bbbb"):
        (tmp_path / "wandb" / name).mkdir(parents=True)
    assert run_id(tmp_path) == "bbbb"


def test_a_resumed_run_does_not_log_again_what_it_has(monkeypatch, tmp_path):
    logged = []
    monkeypatch.setattr(WandbLogger, "log_metrics", lambda self, metrics, step=None: logged.append((step, metrics)))
    logger = RunLogger(SimpleNamespace(), save_dir=tmp_path)
    skip_sent(SimpleNamespace(loggers=[logger]), 9, {"loss", "epoch"})
    for step in (4, 9):
        logger.log_metrics({"loss": 1.0, "epoch": 0}, step)
    logger.log_metrics({"accuracy": 0.5, "epoch": 0}, 9)
    logger.log_metrics({"picture": [1]}, 4)
    logger.log_metrics({"loss": 1.0, "epoch": 1}, 14)
    logger.log_metrics({"alert": 1.0})
    assert logged == [(9, {"accuracy": 0.5}), (14, {"loss": 1.0, "epoch": 1}), (None, {"alert": 1.0})]


# ------------------------------------------------------------------------------------------------------- whole runs


def fit(run_dir, *options, **environment):
    """A short fit in a process of its own."""
    command = ["fit", "-c", "configs/classifier/digits.yaml", "--quiet", "--run_dir", str(run_dir)]
    command += [
        "--trainer.accelerator",
        "cpu",
        "--trainer.max_epochs",
        "1",
        "--trainer.log_every_n_steps",
        "2",
        *options,
    ]
    return subprocess.run(
        [sys.executable, "cli.py", *command],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def records(folder):
    """What a part of a run holds, as wandb reads it."""
    (log,) = folder.glob("*.wandb")
    command = [str(Path(sys.executable).parent / "wandb"), "leet", "inspect", "--json", str(log)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
@pytest.mark.parametrize("fails", ["hang", "reset", 401, 500])
def test_a_run_whose_server_cannot_be_used_trains_offline(tmp_path, server, fails):
    finished = fit(tmp_path / "run", WANDB_BASE_URL=server(fails).url, WANDB_API_KEY=KEY)
    assert finished.returncode == 0
    (line,) = finished.stderr.splitlines()
    assert line.startswith("W&B: http://127.0.0.1:")
    assert line.endswith("This run is recorded offline.")
    assert f"cli.py sync {tmp_path / 'run'}" in finished.stdout
    assert len(list((tmp_path / "run" / "wandb").glob("offline-run-*"))) == 1


@pytest.mark.slow
@pytest.mark.parametrize("fails", ["hang", 500])
@pytest.mark.parametrize("last", ["query { viewer", "UpsertBucket"])
def test_a_server_that_is_lost_ends_no_run(tmp_path, server, wandb_of_a_parent, last, fails):
    """After the first question, when the run begins, or after the run has begun; a parent process uses wandb, too."""
    stand_in = server(works_until=last, fails_then=fails)
    finished = fit(tmp_path / "run", WANDB_BASE_URL=stand_in.url, WANDB_API_KEY=KEY, **wandb_of_a_parent)
    assert finished.returncode == 0, finished.stderr
    assert "Traceback" not in finished.stderr
    lines = [line for line in finished.stderr.splitlines() if line.startswith("W&B")]
    assert len(lines) == 1, finished.stderr
    assert ("is recorded offline" if last != "UpsertBucket" else "cli.py sync") in lines[0]
    assert (tmp_path / "run" / "summary.json").exists()


@pytest.mark.slow
def test_a_resumed_run_goes_on_with_its_run_in_wandb(tmp_path, server):
    stand_in = server()
    environment = {"WANDB_BASE_URL": stand_in.url, "WANDB_API_KEY": KEY}
    first = fit(tmp_path / "run", **environment)
    assert f"{stand_in.url}/us/lightning-models/runs/" in first.stdout, first.stderr
    again = fit(tmp_path / "run", "--resume", "--trainer.max_epochs", "2", **environment)
    assert again.returncode == 0, again.stderr
    offline = fit(tmp_path / "run", "--resume", "--trainer.max_epochs", "3", "--wandb.mode", "offline")
    assert offline.returncode == 0, offline.stderr
    begun = [json.loads(body)["variables"] for body in stand_in.bodies("/graphql") if "UpsertBucket" in body]
    (name,) = {variables["name"] for variables in begun}
    folders = list((tmp_path / "run" / "wandb").glob("*run-*"))
    folders = [folder for folder in folders if not folder.is_symlink()]
    assert len(folders) == 3
    assert {folder.name.rsplit("-", 1)[1] for folder in folders} == {name}


@pytest.mark.slow
def test_an_offline_run_holds_losses_images_and_the_config(tmp_path):
    run_dir = tmp_path / "run"
    args = ["fit", "--model", "GAN", "--data", "Digits", "--quiet", "--run_dir", str(run_dir)]
    args += ["--wandb.mode", "offline", "--trainer.accelerator", "cpu", "--trainer.max_epochs", "2"]
    args += ["--trainer.limit_train_batches", "4", "--trainer.log_every_n_steps", "2", "--model.latent_dim", "7"]
    args += ["--wandb.setting", '{"model.l2": 0.125}']
    finished = subprocess.run([sys.executable, "cli.py", *args], cwd=ROOT, capture_output=True, text=True, check=True)
    (folder,) = (run_dir / "wandb").glob("offline-run-*")
    assert f"cli.py sync {run_dir}" in finished.stdout

    text = records(folder)
    assert len(text.splitlines()) > 8
    for expected in ("train/d_loss", "train/g_loss", "val/d_loss", "samples/grid", "samples/progress", "latent_dim"):
        assert expected in text
    assert "0.125" in text
    images = list((folder / "files" / "media" / "images" / "samples").glob("*.png"))
    assert len([image for image in images if image.name.startswith("grid")]) == 3  # start, half-way, end


@pytest.mark.slow
def test_an_offline_run_holds_the_texts_of_a_language_model_as_a_table(tmp_path):
    run_dir = tmp_path / "run"
    args = ["fit", "--model", "CharLanguageModel", "--data", "Text", "--quiet", "--run_dir", str(run_dir)]
    args += ["--wandb.mode", "offline", "--trainer.accelerator", "cpu", "--trainer.max_epochs", "2"]
    args += ["--trainer.limit_train_batches", "4", "--trainer.log_every_n_steps", "2", "--texts.length", "50"]
    subprocess.run([sys.executable, "cli.py", *args], cwd=ROOT, capture_output=True, text=True, check=True)
    tables = run_dir.glob("wandb/offline-run-*/files/media/table/samples/texts_*.table.json")
    longest = max((json.loads(path.read_text()) for path in tables), key=lambda table: len(table["data"]))
    assert longest["columns"] == ["batches", "text"]
    assert [batches for batches, _ in longest["data"]] == ["0", "4", "8"]
    written = sorted((run_dir / "samples").glob("text-*.txt"))
    assert [text for _, text in longest["data"]] == [path.read_text() for path in written]
