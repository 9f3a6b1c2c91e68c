"""A training under SLURM, by configs/cluster/fit.sbatch, ends as if nothing had ever happened to it."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.cluster.phases import HOOKS, pause

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "configs" / "cluster" / "fit.sbatch"
FIT = ["-c", "configs/gan/digits.yaml", "--trainer.accelerator=cpu", "--trainer.max_epochs=4"]
FIT += ["--trainer.limit_train_batches=4", "--trainer.check_val_every_n_epoch=1", "--trainer.log_every_n_steps=1"]
FIT += ["--trainer.limit_val_batches=2", "--data.batch_size=32", "--quality.network=none"]
TASKS = ("--cpus-per-task=1", "--ntasks-per-node=1")
PAIR = ("--cpus-per-task=1", "--ntasks-per-node=2")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The weights at the end of the training by one process and by two, started without SLURM."""
    ended = {}
    for processes, options in ((1, TASKS), (2, PAIR)):
        run = tmp_path_factory.mktemp("undisturbed") / "run"
        command = [
            sys.executable,
            "cli.py",
            "fit",
            *FIT,
            "--quiet",
            "--run_dir",
            str(run),
            f"--trainer.devices={processes}",
        ]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120, env=environment())
        ended[options] = weights(run)
    return ended


def environment():
    return {**os.environ, "OMP_NUM_THREADS": "1", "WANDB_MODE": "disabled", "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module", autouse=True)
def _python(slurm, tmp_path_factory):
    """What the script starts: processes meet at the first node's name, and the private SLURM's are known to nobody."""
    wrapper = tmp_path_factory.mktemp("bin") / "python"
    wrapper.write_text(f'#!/bin/sh\nSLURM_NODELIST=localhost SLURM_JOB_NODELIST=localhost exec {sys.executable} "$@"\n')
    wrapper.chmod(0o755)
    slurm.environment |= {**environment(), "PYTHON": str(wrapper)}


def weights(run):
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def submit(slurm, run, *options, tasks=TASKS):
    """Submit the training into the folder `run`, whose log is beside it."""
    return slurm.submit(
        SCRIPT, *FIT, "--run_dir", str(run), *options, options=(*tasks, f"--output={run}.log", "--time=10"), cwd=ROOT
    )


def wait_for(path, seconds=60):
    until = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < until, f"{path} did not come"
        time.sleep(0.05)


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


def end_of(slurm, job, run, seconds=120):
    """The job at its end, which it must reach, also from the queue, where SLURM holds back a job that was requeued."""
    until = time.monotonic() + seconds
    while (found := slurm.job(job))["JobState"] in ("PENDING", "RUNNING", "COMPLETING", "REQUEUED"):
        assert time.monotonic() < until, (found["JobState"], found["Reason"], log_of(run))
        time.sleep(1)
        if found["JobState"] == "PENDING" and found["Reason"] == "BeginTime":  # the script of its first start has ended
            slurm.start_now(job)
    assert found["JobState"] == "COMPLETED", log_of(run)
    return found


def log_of(run):
    return run.with_name(f"{run.name}.log").read_text()


@pytest.mark.parametrize("tasks", [TASKS, PAIR], ids=["one", "two"])
@pytest.mark.parametrize("phase", HOOKS)
def test_a_warning_in_any_phase_requeues_the_job_once_and_changes_nothing(slurm, tmp_path, undisturbed, phase, tasks):
    if tasks == PAIR and phase in ("setup", "after", "end"):
        pytest.skip("one process stands for two here")
    run, marker = tmp_path / "run", tmp_path / "there"
    job = submit(slurm, run, *pause(phase, marker), tasks=tasks)
    wait_for(marker)
    slurm.call("scancel", "--signal=USR1", job)
    slurm.wait_for(job, ("PENDING", "COMPLETED"))
    found = end_of(slurm, job, run)
    assert "Traceback" not in log_of(run)
    if phase != "end":  # when all is trained, the run may end as well as be requeued
        assert found["Restarts"] == "1"
        assert log_of(run).count("stopped by SIGUSR1") == 1, log_of(run)
    assert_same(weights(run), undisturbed[tasks])
    assert not (run / "error.txt").exists()


def test_a_warning_before_anything_is_loaded_requeues_the_job(slurm, tmp_path, undisturbed):
    run = tmp_path / "run"
    job = submit(slurm, run)
    slurm.wait_for(job, ("RUNNING",))
    until = time.monotonic() + 30
    while slurm.job(job)["JobState"] == "RUNNING" and time.monotonic() < until:  # srun needs a moment to begin
        slurm.call("scancel", "--signal=USR1", job)
        time.sleep(0.3)
    end_of(slurm, job, run)
    assert_same(weights(run), undisturbed[TASKS])


def test_a_lost_node(slurm, tmp_path, undisturbed):
    run, marker = tmp_path / "run", tmp_path / "there"
    job = submit(slurm, run, *pause("after", marker))
    wait_for(marker)
    node = slurm.job(job)["NodeList"]
    slurm.kill_node(node)
    try:
        slurm.wait_for(job, ("PENDING",))
        end_of(slurm, job, run)
    finally:
        slurm.start_node(node)
    assert_same(weights(run), undisturbed[TASKS])


def test_a_cancelled_job_keeps_a_checkpoint_stays_ended_and_resumes_when_it_is_submitted_again(
    slurm, tmp_path, undisturbed
):
    run, marker = tmp_path / "run", tmp_path / "there"
    job = submit(slurm, run, *pause("batch", marker))
    wait_for(marker)
    slurm.call("scancel", job)
    assert slurm.wait_for(job)["JobState"] == "CANCELLED"
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 6
    again = submit(slurm, run)
    end_of(slurm, again, run)
    assert_same(weights(run), undisturbed[TASKS])
    end_of(slurm, submit(slurm, run), run)
    assert "complete: " in log_of(run)
    assert json.loads((run / "summary.json").read_text())["batches"] == 16


def test_a_refusal_ends_all_tasks_with_one_message(slurm, tmp_path):
    started = time.monotonic()
    job = submit(slurm, tmp_path / "run", "--model.latent_dim=0", tasks=PAIR)
    found = slurm.wait_for(job)
    assert found["JobState"] == "FAILED"
    assert found["ExitCode"].startswith("2:")
    assert time.monotonic() - started < 60
    log = log_of(tmp_path / "run")
    assert [line for line in log.splitlines() if line.startswith("error: ")] == [
        "error: latent_dim is 0: use whole numbers from 1 up"
    ]
