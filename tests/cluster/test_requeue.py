"""Who puts a job of configs/cluster/ back into the queue, and which jobs never begin."""

import sys

import pytest

from tests.cluster.phases import pause
from tests.cluster.trainings import PAIR, TASKS, assert_same, end_of, log_of, submit, wait_for, weights

pytestmark = pytest.mark.slow

SLOW_PYTHON = """#!{python} -SE
import os, sys, time
if not os.path.exists("{marker}"):
    open("{marker}", "w").close()
    time.sleep(2)
os.execv("{python}", ["{python}", *sys.argv[1:]])
"""


@pytest.mark.parametrize("grace", [0, 30])
def test_a_preempted_job_goes_on(slurm, tmp_path, undisturbed, grace):
    """Without a time of grace SLURM puts it back; with one, a job that ends within it counts as ended."""
    run, urgent = tmp_path / "run", tmp_path / "urgent.sh"
    urgent.write_text("#!/bin/sh\nsleep 1\n")
    slurm.call("scontrol", "update", "PartitionName=all", f"GraceTime={grace}")
    try:
        job = submit(slurm, run, *pause(tmp_path, "batch@5"))
        wait_for(tmp_path / "batch@5")
        other = slurm.submit(urgent, options=("--partition=urgent", "--nodes=2", "--exclusive", "--output=/dev/null"))
        slurm.wait_for(job, ("PENDING",))
        assert slurm.wait_for(other)["JobState"] == "COMPLETED"
        assert end_of(slurm, job, run)["Restarts"] == "1"
    finally:
        slurm.call("scontrol", "update", "PartitionName=all", "GraceTime=0")
    assert log_of(run).count("stopped by SIGTERM") == 1
    assert_same(weights(run), undisturbed[TASKS])


def test_a_job_near_its_time_limit_goes_on(slurm, tmp_path, undisturbed):
    run = tmp_path / "run"
    job = submit(slurm, run, *pause(tmp_path, "batch@5"), sbatch=("--time=1", "--signal=USR1@30"))  # or earlier
    slurm.wait_for(job, ("RUNNING",))
    slurm.wait_for(job, ("PENDING",))
    found, log = end_of(slurm, job, run), log_of(run)
    assert found["Restarts"] == str(log.count("stopped by SIGUSR1")) != "0"
    assert_same(weights(run), undisturbed[TASKS])


@pytest.mark.parametrize("tasks", [TASKS, PAIR], ids=["one", "two"])
def test_a_warning_before_python_can_handle_it_waits(slurm, tmp_path, undisturbed, tasks):
    run, marker, python = tmp_path / "run", tmp_path / "begins", tmp_path / "python"
    python.write_text(SLOW_PYTHON.format(python=sys.executable, marker=marker))
    python.chmod(0o755)
    job = submit(slurm, run, tasks=tasks, python=python)
    wait_for(marker)
    slurm.call("scancel", "--signal=USR1", job)
    slurm.wait_for(job, ("PENDING",))
    assert end_of(slurm, job, run)["Restarts"] == "1"
    log = log_of(run)
    assert log.count("stopped by SIGUSR1\n") == 1, log
    assert "User defined signal" not in log
    assert_same(weights(run), undisturbed[tasks])


def test_tasks_that_do_not_fit_devices_and_nodes_end_with_one_message(slurm, tmp_path):
    run = tmp_path / "run"
    job = submit(slurm, run, tasks=("--nodes=2", "--ntasks-per-node=2", "--ntasks=3", "--cpus-per-task=1"))
    end = slurm.wait_for(job)
    assert (end["ExitCode"], end["Restarts"]) == ("2:0", "0")
    assert [line for line in log_of(run).splitlines() if line.startswith("error: ")] == [
        "error: srun has started 3 processes, but --trainer.devices 1 and --trainer.num_nodes 2 ask for 2: start as "
        "many as devices x nodes"
    ]
    assert not run.exists()


def test_a_gpu_without_a_task_is_refused(slurm, tmp_path):
    run = tmp_path / "run"
    job = submit(slurm, run, sbatch=("--gpus-per-node=2",))
    assert slurm.wait_for(job)["ExitCode"] == "2:0"
    assert log_of(run).startswith("error: the job has 2 GPUs on each node, but 1 tasks: ")
