"""torchrun: a process that is killed ends all, and the same command again goes on to the same weights."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.cluster.phases import pause

ROOT = Path(__file__).parents[2]
FIT = ["fit", "-c", "configs/gan/digits.yaml", "--trainer.accelerator=cpu", "--trainer.max_epochs=4", "--quiet"]
FIT += ["--trainer.limit_train_batches=4", "--trainer.devices=2", "--data.batch_size=32", "--quality.network=none"]
FIT += ["--trainer.check_val_every_n_epoch=1", "--resume"]
pytestmark = pytest.mark.slow


def torchrun(run, *options):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "cli.py", *FIT]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "WANDB_MODE": "disabled", "PYTHONPATH": str(ROOT)}
    with run.with_name(f"{run.name}.log").open("a") as log:
        return subprocess.Popen(
            [*command, "--run_dir", str(run), *options], cwd=ROOT, env=environment, stdout=log, stderr=log
        )


def weights(run):
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def workers_of(process):
    """The processes of the training that torchrun has started."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(pid) for pid in children if b"cli.py" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def test_a_killed_process_ends_all_and_the_same_command_goes_on(tmp_path):
    whole = torchrun(tmp_path / "whole")
    assert whole.wait(timeout=180) == 0, (tmp_path / "whole.log").read_text()

    run, marker = tmp_path / "run", tmp_path / "after@5"
    killed = torchrun(run, *pause(tmp_path, "after@5"))
    until = time.monotonic() + 90
    while not marker.exists():
        assert time.monotonic() < until
        time.sleep(0.05)
    os.kill(workers_of(killed)[1], signal.SIGKILL)
    started = time.monotonic()
    assert killed.wait(timeout=60) != 0
    assert time.monotonic() - started < 40

    again = torchrun(run)
    assert again.wait(timeout=180) == 0, (tmp_path / "run.log").read_text()
    found, expected = weights(run), weights(tmp_path / "whole")
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value), name
