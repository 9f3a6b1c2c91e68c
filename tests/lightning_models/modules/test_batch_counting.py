"""Modules with manual optimization: which batches are logged, and which optimizers they can use."""

from types import SimpleNamespace

import pytest
import torch

from lab.errors import UserError
from lightning_models.modules import batch_counting
from lightning_models.modules.batch_counting import CountsBatches, should_log


def test_the_batches_that_are_logged():
    logged = [should_log(SimpleNamespace(log_every_n_steps=3, global_step=step)) for step in range(6)]
    assert logged == [False, False, True, False, False, True]
    assert not should_log(SimpleNamespace(log_every_n_steps=0, global_step=0))  # Lightning's word for never


def test_an_optimizer_that_evaluates_the_loss_again_is_refused(monkeypatch):
    monkeypatch.setattr(batch_counting, "leave_counting_to_the_module", lambda trainer: None)
    weight = [torch.nn.Parameter(torch.zeros(1))]

    class Model(CountsBatches):
        trainer = SimpleNamespace(optimizers=[torch.optim.Adam(weight)])

    Model().on_fit_start()
    Model.trainer.optimizers.append(torch.optim.LBFGS(weight))
    with pytest.raises(UserError, match="a Model cannot learn with LBFGS, which evaluates the loss several times"):
        Model().on_fit_start()
