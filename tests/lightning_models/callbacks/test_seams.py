"""What lab/compat/ changes in Lightning: these tests fail when a private name is gone or means something else."""

import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.utilities.exceptions import SIGTERMException

from lab.compat.logging_step import rewind_logging_step, writes_a_row
from lab.compat.sigterm import leave_signals_to_us
from lab.stops import Stops, ask
from lightning_models.callbacks.resume import ResumeAfterEpoch
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
    ResumeAfterEpoch().on_load_checkpoint(second, line, {})
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


def test_lightning_handles_no_signal_itself(tmp_path):
    running = trainer(tmp_path, max_steps=1)
    before = signal.getsignal(signal.SIGTERM)
    running._signal_connector.register_signal_handlers()
    assert signal.getsignal(signal.SIGTERM) is not before
    running._signal_connector.teardown()
    assert callable(running.fit_loop.epoch_loop._broadcast_sigterm_tensor)
    leave_signals_to_us(running)
    running._signal_connector.register_signal_handlers()
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_stop_waits_for_the_end_of_a_validation(tmp_path):
    running = trainer(tmp_path, max_steps=1)
    stopped = CheckpointWhenStopped(tmp_path / "last.ckpt")
    with Stops():
        stopped.on_train_batch_end(running)
        assert not running.received_sigterm
        ask(143)
        assert not running.received_sigterm
        stopped.on_train_batch_end(running)
        assert running.received_sigterm
        stopped.on_validation_start(running, None)
        assert not running.received_sigterm
        stopped.on_validation_end(running, None)
        assert running.received_sigterm


@pytest.mark.parametrize("hook", ["on_train_batch_end", "on_validation_end", "on_train_epoch_end"])
def test_a_stop_is_seen_after_a_batch_a_validation_and_an_epoch(tmp_path, hook):
    running = trainer(tmp_path, max_steps=1)
    with Stops():
        ask(138)
        getattr(CheckpointWhenStopped(None), hook)(running, None)
        assert running.received_sigterm


def test_a_stop_that_was_asked_for_before_the_first_batch_keeps_no_checkpoint(tmp_path, monkeypatch):
    running, written = trainer(tmp_path, max_steps=1), []
    monkeypatch.setattr(running, "save_checkpoint", written.append)
    stopped = CheckpointWhenStopped(tmp_path / "last.ckpt")
    with Stops():
        stopped.on_train_start(running, None)
        ask(138)
        with pytest.raises(SIGTERMException) as stop:
            stopped.on_train_start(running, None)
        stopped.on_exception(running, None, stop.value)
    assert written == []


def test_only_a_stop_writes_a_checkpoint(tmp_path, monkeypatch):
    running, written = trainer(tmp_path, max_steps=1), []
    monkeypatch.setattr(running, "save_checkpoint", written.append)
    stopped = CheckpointWhenStopped(tmp_path / "last.ckpt")
    stopped.on_train_batch_end(running)
    stopped.on_exception(running, None, KeyboardInterrupt())
    assert written == []
    stopped.on_exception(running, None, SIGTERMException())
    assert written == [tmp_path / "last.ckpt"]


def test_the_check_of_the_validation_before_the_training_is_no_validation():
    stopped = CheckpointWhenStopped(None)
    stopped.on_validation_end(SimpleNamespace(sanity_checking=True, global_step=0), None)
    assert stopped.validated_at == -1
