"""A short training that configs/cluster/fit.sbatch runs on the private SLURM."""

import os
import sys
import time
from pathlib import Path

import torch

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "configs" / "cluster" / "fit.sbatch"
FIT = ["-c", "configs/gan/digits.yaml", "--trainer.accelerator=cpu", "--trainer.max_epochs=4"]
FIT += ["--trainer.limit_train_batches=4", "--trainer.check_val_every_n_epoch=1", "--trainer.log_every_n_steps=1"]
FIT += ["--trainer.limit_val_batches=2", "--data.batch_size=32", "--quality.network=none"]
TASKS = ("--cpus-per-task=1", "--ntasks-per-node=1")
PAIR = ("--cpus-per-task=1", "--ntasks-per-node=2")
PATIENCE = 200  # seconds; these tests share their machine


def environment():
    return {**os.environ, "OMP_NUM_THREADS": "1", "WANDB_MODE": "disabled", "PYTHONPATH": str(ROOT)}


def submit(slurm, run, *options, tasks=TASKS, sbatch=(), python=sys.executable):
    """Submit the training into the folder `run`, whose log is beside it."""
    slurm.environment |= {**environment(), "PYTHON": str(python)}
    given = (*tasks, f"--output={run}.log", "--time=10", *sbatch)
    return slurm.submit(SCRIPT, *FIT, "--run_dir", str(run), *options, options=given, cwd=ROOT)


def weights(run):
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


def wait_for(path):
    until = time.monotonic() + PATIENCE
    while not path.exists():
        assert time.monotonic() < until, f"{path} did not come"
        time.sleep(0.05)


def wait_for_text(run, text):
    until = time.monotonic() + PATIENCE
    while text not in log_of(run):
        assert time.monotonic() < until, log_of(run)
        time.sleep(0.2)


def running(slurm, job, run):
    """The job while it runs, which it must, also from the queue, where SLURM holds back a job that was requeued."""
    return until_in(slurm, job, run, ("RUNNING",))


def end_of(slurm, job, run):
    """The job at its good end; see `running`."""
    return until_in(slurm, job, run, ("COMPLETED",))


def until_in(slurm, job, run, states):
    until = time.monotonic() + PATIENCE
    while (found := slurm.job(job))["JobState"] in {"PENDING", "RUNNING", "COMPLETING", "REQUEUED"}.difference(states):
        assert time.monotonic() < until, (found["JobState"], found["Reason"], log_of(run))
        time.sleep(1)
        if found["JobState"] == "PENDING" and found["Reason"] == "BeginTime":  # the script of its first start has ended
            slurm.start_now(job)
    assert found["JobState"] in states, log_of(run)
    return found


def log_of(run):
    return run.with_name(f"{run.name}.log").read_text()
