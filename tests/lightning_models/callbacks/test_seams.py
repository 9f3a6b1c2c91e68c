"""What lab/compat/ changes in Lightning: these tests fail when a private name is gone or means something else."""

from pathlib import Path

import pytest
import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.utilities.exceptions import SIGTERMException

from lab.compat.epoch_resume import resume_with_the_next_epoch
from lab.compat.logging_step import rewind_logging_step, writes_a_row
from lab.compat.sigterm import set_received_sigterm
from lightning_models.callbacks.stopped import CheckpointWhenStopped


def trainer(tmp_path, **options):
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    return Trainer(accelerator="cpu", default_root_dir=tmp_path, enable_checkpointing=False, **quiet, **options)


class Line(LightningModule):
    """Counts the ends of its epochs and the batches on which Lightning would write a row."""

    def __init__(self):
        super().__init__()
        self.slope = torch.nn.Parameter(torch.zeros(()))
        self.epoch_ends, self.rows = 0, []

    def training_step(self, batch, batch_idx):
        if writes_a_row(self.trainer):
            self.rows.append(batch_idx)
        return (self.slope - batch.mean()).square()

    def on_train_epoch_end(self):
        self.epoch_ends += 1
        last = Path(self.trainer.default_root_dir) / "last.ckpt"
        if not last.exists():
            self.trainer.save_checkpoint(last)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


LOADER = torch.utils.data.DataLoader(torch.ones(5))


@pytest.mark.filterwarnings("ignore:The 'train_dataloader' does not have many workers")
def test_rows_are_written_where_lightning_writes_them_and_epochs_end_once(tmp_path):
    first = trainer(tmp_path, max_steps=10, max_epochs=1, log_every_n_steps=2)
    line = Line()
    first.fit(line, LOADER)
    assert line.rows == [1, 3]
    second, line = trainer(tmp_path, max_steps=10, max_epochs=2, log_every_n_steps=2), Line()
    assert second.fit_loop._iteration_based_training()
    resume_with_the_next_epoch(second)
    assert not second.fit_loop._iteration_based_training()
    second.fit(line, LOADER, ckpt_path=tmp_path / "last.ckpt", weights_only=True)
    assert line.epoch_ends == 1
    assert second.global_step == 10


@pytest.mark.parametrize(("is_done", "count"), [(False, 3), (True, 4)])
def test_the_logging_step_is_rewound_only_inside_an_epoch(tmp_path, monkeypatch, is_done, count):
    running = trainer(tmp_path, max_steps=10, log_every_n_steps=4)
    loop = running.fit_loop.epoch_loop
    monkeypatch.setattr(type(loop), "_is_training_done", is_done)
    loop._batches_that_stepped = 4
    rewind_logging_step(running)
    assert loop._batches_that_stepped == count
    assert writes_a_row(running) == (count == 3)


def test_a_signal_waits_for_the_end_of_a_validation(tmp_path):
    running = trainer(tmp_path, max_steps=1)
    running.state.fn = "fit"
    stopped = CheckpointWhenStopped(tmp_path / "last.ckpt")
    stopped.on_validation_start(running, None)
    set_received_sigterm(running, True)
    assert running.received_sigterm
    stopped.on_validation_batch_end(running)
    assert not running.received_sigterm
    stopped.on_validation_end(running, None)
    assert running.received_sigterm
    set_received_sigterm(running, False)
    stopped.on_validation_end(running, None)
    assert not running.received_sigterm  # it is shown once


def test_only_sigterm_writes_a_checkpoint(tmp_path, monkeypatch):
    running, written = trainer(tmp_path, max_steps=1), []
    monkeypatch.setattr(running, "save_checkpoint", written.append)
    stopped = CheckpointWhenStopped(tmp_path / "last.ckpt")
    stopped.on_exception(running, None, KeyboardInterrupt())
    assert written == []
    stopped.on_exception(running, None, SIGTERMException())
    assert written == [tmp_path / "last.ckpt"]
