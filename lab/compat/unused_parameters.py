"""Sets `find_unused_parameters` of a DDP strategy that the Trainer has made already.

The backward pass of a GAN reaches only one of its two networks, and DistributedDataParallel then waits for gradients
that never come. Lightning takes the option only where the strategy is chosen (`ddp_find_unused_parameters_true`), but a
user writes `--trainer.devices 2` and a Trainer made in Python knows nothing of the model.

Checked with pytorch-lightning 2.6; pinned by tests/lab/compat/test_unused_parameters.py and, with two processes,
tests/test_processes.py.
"""

from pytorch_lightning.strategies import DDPStrategy, Strategy


def find_unused_parameters(strategy: Strategy) -> None:
    """Turn the option on unless the user has set it; does nothing for other strategies. Call it in `setup`."""
    if isinstance(strategy, DDPStrategy):
        strategy._ddp_kwargs.setdefault("find_unused_parameters", True)
