"""Which of the libraries' messages are hidden, and where."""

import logging
import warnings

import pytest
import torch
from lightning_fabric.plugins.environments import SLURMEnvironment

from lab.training.quiet import quieten_libraries


@pytest.fixture
def srun(tmp_path, monkeypatch):
    """A machine with SLURM: srun is on the PATH."""
    program = tmp_path / "srun"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.parametrize("in_a_job", [False, True], ids=["login node", "job"])
def test_lightning_asks_for_srun_only_inside_a_job(srun, monkeypatch, in_a_job):
    if in_a_job:
        monkeypatch.setenv("SLURM_JOB_ID", "42")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        quieten_libraries()
        assert not SLURMEnvironment.detect()
    assert [str(warning.message).startswith("The `srun` command") for warning in caught] == [True] * in_a_job


def test_a_trainer_can_be_made_on_a_login_node(srun):
    from pytorch_lightning import Trainer

    Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)


def test_notes_are_hidden_and_warnings_are_not():
    quieten_libraries()
    for name in ("pytorch_lightning", "lightning_fabric"):
        assert not logging.getLogger(name).isEnabledFor(logging.INFO)
        assert logging.getLogger(name).isEnabledFor(logging.WARNING)
    assert torch.get_float32_matmul_precision() == "high"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        quieten_libraries()
        warnings.warn("Checkpoint directory /runs/a exists and is not empty.", stacklevel=1)
        warnings.warn("The `val_dataloader` does not have many workers", stacklevel=1)
    assert [str(warning.message)[:20] for warning in caught] == ["The `val_dataloader`"]
