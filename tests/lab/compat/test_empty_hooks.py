"""Hooks that a class does not define are not called; those that it defines are."""

import inspect

import pytest
import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from lab.compat.empty_hooks import OF_EVALUATION, OF_TRAINING, keep_signatures, skip_empty_hooks


class Looks(Callback):
    def __init__(self):
        self.seen = []
        self.on_after_backward = lambda *args: self.seen.append("after_backward")

    def on_train_batch_end(self, *args):
        self.seen.append("train_batch_end")

    def on_validation_batch_start(self, *args):
        self.seen.append("validation_batch_start")


class Inherits(Looks):
    """Defines none itself."""


class Model(LightningModule):
    def __init__(self, seen):
        super().__init__()
        self.layer, self.seen = torch.nn.Linear(1, 1), seen

    def training_step(self, batch, batch_idx):
        return self.layer(batch).sum()

    def validation_step(self, batch, batch_idx):
        """Nothing."""

    def on_before_zero_grad(self, optimizer):
        self.seen.append("zero_grad")

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


@pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers")
def test_only_empty_hooks_are_left_out():
    looks, inherits = Looks(), Inherits()
    model = Model(looks.seen)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = Trainer(
        **{"accelerator": "cpu", "max_steps": 1, "enable_model_summary": False, "num_sanity_val_steps": 0, **quiet},
        callbacks=[looks, inherits],
    )
    skip_empty_hooks([*trainer.callbacks, model])
    batches = torch.utils.data.DataLoader(torch.ones(2, 1), batch_size=2)
    trainer.fit(model, batches, batches)
    assert inherits.seen == ["after_backward", "train_batch_end", "validation_batch_start"]
    assert looks.seen == ["zero_grad", *inherits.seen]
    assert {name for name in (*OF_TRAINING, *OF_EVALUATION) if getattr(looks, name) is not None} == {
        "on_after_backward",
        "on_train_batch_end",
        "on_validation_batch_start",
    }
    assert {name for name in OF_TRAINING if getattr(model, name) is not None} == {"on_before_zero_grad"}


def test_signatures_of_steps_are_those_that_inspect_finds():
    model, found = Model([]), inspect.signature(Model.training_step)
    keep_signatures(model)
    assert Model.training_step.__signature__ == inspect.signature(Model.training_step) == found
    assert inspect.getfullargspec(model.training_step).args == ["self", "batch", "batch_idx"]
    assert not hasattr(LightningModule.test_step, "__signature__")
