"""Silences messages of libraries that come with every run and that nobody here can act on."""

import logging
import os
import warnings

import torch


def quieten_libraries() -> None:
    """Hide Lightning's notes of every start, and those warnings that do not apply here; all others stay visible."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    # A run's files lie in its own folder; a resumed run finds its checkpoints there on purpose.
    warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")
    # The warning: the saved weights are those after the batch's update. They are the ones we want.
    warnings.filterwarnings("ignore", message="Using ModelCheckpoint with manual optimization")
    # torch.compile checks D's input, which is an output of G; nobody reads its gradient.
    warnings.filterwarnings("ignore", message="The .grad attribute of a Tensor that is not a leaf Tensor")
    # To evaluate a checkpoint takes its weights, not the callbacks that wrote it.
    warnings.filterwarnings("ignore", message="Be aware that when using `ckpt_path`, callbacks used to create")
    # Lightning 2.6 uses names of torch's pytree that torch 2.15 removes.
    warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\)")
    if "SLURM_JOB_ID" not in os.environ:
        # On a login node srun is installed and not wanted. Inside a job, several processes hang without it.
        warnings.filterwarnings("ignore", message="The `srun` command is available on your system but is not used")
    torch.set_float32_matmul_precision("high")  # TF32 on GPUs, which Lightning recommends on every start
