"""A study as an array of jobs, by configs/cluster/study.sbatch, on a PostgreSQL database that is empty at first."""

import csv
import shutil
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.cluster import postgresql
from tests.cluster.trainings import end_of

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "configs" / "cluster" / "study.sbatch"
TRIALS = 8
pytestmark = pytest.mark.slow


def write_study(path):
    overrides = {"trainer.max_epochs": 12, "trainer.accelerator": "cpu", "trainer.limit_train_batches": 10}
    content = {"title": "Array", "base": str(ROOT / "configs/classifier/digits.yaml"), "overrides": overrides}
    content |= {"grid": {"model.l2": [0.0, 1e-4]}, "seeds": list(range(TRIALS // 2))}
    path.write_text(yaml.safe_dump({**content, "record": ["val/accuracy"], "direction": "maximize"}))


def rows(folder):
    path = folder / "results.csv"
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_an_array_of_workers_on_an_empty_database_outlives_kills_and_requeues(slurm, tmp_path):
    if postgresql.programs() is None or shutil.which("sbatch", path=slurm.environment["PATH"]) is None:
        pytest.skip(postgresql.NOT_INSTALLED)
    study, folder = tmp_path / "array.yaml", tmp_path / "study"
    write_study(study)
    with postgresql.server() as address:
        slurm.environment |= {"STUDY_STORAGE": address, "PYTHON": sys.executable, "WANDB_MODE": "disabled"}
        options = ("--array=1-4", "--cpus-per-task=1", "--time=10", f"--output={tmp_path}/worker-%a.log")
        job = slurm.submit(SCRIPT, str(study), "--study_dir", str(folder), options=options, cwd=ROOT)
        until = time.monotonic() + 120
        while not list(folder.glob("trials/*/metrics.csv")) and not list(folder.glob("*/metrics.csv")):
            assert time.monotonic() < until, [path.read_text() for path in tmp_path.glob("*.log")]
            time.sleep(0.2)
        slurm.call("scancel", "--signal=KILL", "--full", f"{job}_1")
        slurm.call("scontrol", "requeue", f"{job}_2")
        slurm.call("scancel", "--signal=TERM", f"{job}_3")  # as SLURM does near the time limit
        ended = {number: end_of(slurm, f"{job}_{number}", tmp_path / f"worker-{number}") for number in (2, 3, 4)}
    assert {number: found["Restarts"] for number, found in ended.items()} == {2: "1", 3: "1", 4: "0"}
    found = rows(folder)
    assert [row["state"] for row in found] == ["complete"] * TRIALS
    assert len({(row["model.l2"], row["seed"]) for row in found}) == TRIALS
    logs = "".join(path.read_text() for path in tmp_path.glob("worker-*.log"))
    assert "Traceback" not in logs
    assert "duplicate key" not in logs


def test_a_worker_that_fails_says_so_and_ends_no_other(slurm, tmp_path):
    slurm.environment |= {"STUDY_STORAGE": "postgresql+psycopg://nobody@127.0.0.1:1/none", "PYTHON": sys.executable}
    study = tmp_path / "array.yaml"
    write_study(study)
    options = ("--array=1-2", "--cpus-per-task=1", "--time=10", f"--output={tmp_path}/worker-%a.log")
    job = slurm.submit(SCRIPT, str(study), "--study_dir", str(tmp_path / "study"), options=options, cwd=ROOT)
    for number in (1, 2):
        assert slurm.wait_for(f"{job}_{number}")["JobState"] == "FAILED"
        log = (tmp_path / f"worker-{number}.log").read_text()
        assert len([line for line in log.splitlines() if line.startswith("error: ")]) == 1, log
