"""What the libraries say on every start and nobody here can act on."""

import logging
import warnings

import torch


def quieten_libraries() -> None:
    """Leave out what Lightning says on every start; warnings stay, but for those that do not apply here."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    # The files of a run stand in its own folder, where a resumed run finds its checkpoints on purpose.
    warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")
    # What it warns of, weights after the batch's update, is what is wanted.
    warnings.filterwarnings("ignore", message="Using ModelCheckpoint with manual optimization")
    # torch.compile looks at D's input, which G's graph made; nobody reads its gradient.
    warnings.filterwarnings("ignore", message="The .grad attribute of a Tensor that is not a leaf Tensor")
    # To measure a checkpoint takes its weights, not the callbacks that wrote it.
    warnings.filterwarnings("ignore", message="Be aware that when using `ckpt_path`, callbacks used to create")
    # Lightning 2.6 uses names of torch's pytree that torch 2.15 is about to drop; nobody here can act on it.
    warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\)")
    torch.set_float32_matmul_precision("high")  # TF32 on GPUs, which Lightning advises on every start
