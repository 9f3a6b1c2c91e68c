"""A training under SLURM, by configs/cluster/fit.sbatch, ends as if nothing had ever happened to it."""

import json
import os
import signal
import time

import pytest
import torch

from tests.cluster.phases import pause
from tests.cluster.trainings import (
    PAIR,
    TASKS,
    assert_same,
    end_of,
    log_of,
    running,
    submit,
    wait_for,
    wait_for_text,
    weights,
)

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("tasks", "phases"),  # epochs have four batches
    [
        pytest.param(TASKS, ["setup", "batch@2", "after@5", "validation@8", "checkpoint@12"], id="one"),
        pytest.param(PAIR, ["batch@2", "checkpoint@8", "validation@12"], id="two"),
    ],
)
def test_a_warning_in_any_phase_requeues_the_job_once_and_changes_nothing(slurm, tmp_path, undisturbed, tasks, phases):
    run = tmp_path / "run"
    job = submit(slurm, run, *pause(tmp_path, *phases, "end"), tasks=tasks)
    for number, phase in enumerate(phases):
        assert running(slurm, job, run)["Restarts"] == str(number)
        wait_for(tmp_path / phase)
        slurm.call("scancel", "--signal=USR1", job)
        slurm.wait_for(job, ("PENDING",))
    running(slurm, job, run)
    wait_for(tmp_path / "end")
    slurm.call("scancel", "--signal=USR1", job)  # all is trained: the job may end as well as be requeued
    end_of(slurm, job, run)
    log = log_of(run)
    assert log.count("stopped by SIGUSR1; the same command resumes\n") == len(phases), log
    assert "Traceback" not in log
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


def test_a_lost_node_whose_process_still_trains(slurm, tmp_path, undisturbed):
    run = tmp_path / "run"
    job = submit(slurm, run, *pause(tmp_path, "after@5"))
    wait_for(tmp_path / "after@5")
    node = slurm.job(job)["NodeList"]
    slurm.kill_node(node, only_network=True)
    try:
        slurm.wait_for(job, ("PENDING",))
        lost = slurm.processes()
        slurm.start_now(job)
        wait_for_text(run, "another process is training in")
        for process in lost:
            os.kill(process, signal.SIGKILL)
        end_of(slurm, job, run)
    finally:
        slurm.start_node(node)
    assert_same(weights(run), undisturbed[TASKS])


def test_a_lost_node_of_two(slurm, tmp_path, undisturbed):
    run = tmp_path / "run"
    job = submit(
        slurm, run, *pause(tmp_path, "after@5"), tasks=("--nodes=2", "--ntasks-per-node=1", "--cpus-per-task=1")
    )
    wait_for(tmp_path / "after@5")
    node = slurm.job(job)["BatchHost"]  # of the first process, too
    slurm.kill_node(node)
    try:
        slurm.wait_for(job, ("PENDING",))
    finally:
        slurm.start_node(node)
    assert end_of(slurm, job, run)["Restarts"] == "1"
    assert_same(weights(run), undisturbed[PAIR])


def test_a_cancelled_job_keeps_a_checkpoint_stays_ended_and_resumes_when_it_is_submitted_again(
    slurm, tmp_path, undisturbed
):
    run = tmp_path / "run"
    job = submit(slurm, run, *pause(tmp_path, "batch@5"))
    wait_for(tmp_path / "batch@5")
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
