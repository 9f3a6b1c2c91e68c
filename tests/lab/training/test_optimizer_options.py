"""Options of optimizers that change on a resume: what was given is used, and nothing else of the state is touched."""

import pytest
import torch
from pytorch_lightning import LightningModule, Trainer
from torch import nn
from torch.optim import SGD, Adam, AdamW
from torch.optim.lr_scheduler import LambdaLR, SequentialLR
from torch.utils.data import DataLoader

from lab.errors import UserError
from lab.training.optimizer_options import GivenOptimizerOptions


class TwoNetworks(LightningModule):
    """Two layers under manual optimization; `configure` makes their optimizers."""

    def __init__(self, configure):
        super().__init__()
        self.automatic_optimization = False
        self.discriminator, self.generator, self.configure = nn.Linear(1, 1), nn.Linear(1, 1), configure

    def configure_optimizers(self):
        return self.configure(self)

    def training_step(self, batch, batch_idx):
        optimizers, schedulers = self.optimizers(), self.lr_schedulers() or []
        for optimizer in optimizers if isinstance(optimizers, list) else [optimizers]:
            optimizer.zero_grad()
            self.manual_backward(self.generator(self.discriminator(batch)).square().mean())
            optimizer.step()
        for scheduler in schedulers if isinstance(schedulers, list) else [schedulers]:
            scheduler.step()

    def groups(self):
        """The options of every group of every optimizer, without its parameters."""
        found = [group for optimizer in self.trainer.optimizers for group in optimizer.param_groups]
        return [{name: value for name, value in group.items() if name != "params"} for group in found]


def train(configure, epochs, checkpoint=None):
    """Train one batch an epoch; the module afterwards."""
    torch.manual_seed(0)
    options = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    trainer = Trainer(
        max_epochs=epochs, enable_model_summary=False, callbacks=[GivenOptimizerOptions()], devices=1, **options
    )
    module = TwoNetworks(configure)
    trainer.fit(module, DataLoader(torch.ones(2, 1), batch_size=2), ckpt_path=checkpoint)
    return module


@pytest.fixture
def resumed(tmp_path):
    """A function: train one epoch with the first optimizers, and on to the second one with the others."""

    def resume(before, now, change=lambda checkpoint: None):
        path = tmp_path / "last.ckpt"
        train(before, 1).trainer.save_checkpoint(path)
        checkpoint = torch.load(path, weights_only=True)
        change(checkpoint)
        torch.save(checkpoint, path)
        return train(now, 2, path)

    return resume


def forget(checkpoint):
    """As an earlier version wrote it."""
    del checkpoint["callbacks"]["GivenOptimizerOptions"]


def of_a_gan(d_lr=0.1, g_lr=0.2, **options):
    """Adam for the one and AdamW for the other."""
    return lambda m: [Adam(m.discriminator.parameters(), lr=d_lr), AdamW(m.generator.parameters(), lr=g_lr, **options)]


def with_rates(rate, bias_rate=0.5, kind=SGD):
    """One optimizer of two groups."""

    def configure(module):
        weights, biases = [], []
        for name, parameter in module.named_parameters():
            (biases if name.endswith("bias") else weights).append(parameter)
        return kind([{"params": weights}, {"params": biases, "lr": bias_rate}], lr=rate)

    return configure


def halved(rate, kind=SGD):
    """A learning rate that each batch halves."""

    def configure(module):
        optimizer = kind(module.parameters(), lr=rate)
        return [optimizer], [LambdaLR(optimizer, lambda step: 0.5**step)]

    return configure


@pytest.mark.parametrize("change", [lambda checkpoint: None, forget], ids=["now", "earlier version"])
@pytest.mark.parametrize("configure", [of_a_gan(), with_rates(0.1), halved(0.1)], ids=["gan", "groups", "schedule"])
def test_without_a_change_a_resumed_run_equals_one_that_never_stopped(resumed, capsys, configure, change):
    straight, found = train(configure, 2), resumed(configure, configure, change)
    assert found.groups() == straight.groups()
    for name, weight in straight.state_dict().items():
        assert torch.equal(weight, found.state_dict()[name])
    assert "resumed" not in capsys.readouterr().err


@pytest.mark.parametrize("change", [lambda checkpoint: None, forget], ids=["now", "earlier version"])
def test_every_changed_option_is_used_and_printed(resumed, capsys, change):
    found = resumed(of_a_gan(), of_a_gan(d_lr=1e-5, betas=(0.5, 0.9), weight_decay=0.25, eps=1e-6), change)
    critic, generator = found.groups()
    assert (critic["lr"], critic["betas"], critic["eps"]) == (1e-5, (0.9, 0.999), 1e-8)
    assert (generator["lr"], generator["betas"]) == (0.2, (0.5, 0.9))
    assert (generator["weight_decay"], generator["eps"]) == (0.25, 1e-6)
    assert found.trainer.optimizers[1].state[found.generator.weight]["step"] == 2  # the state is the checkpoint's
    assert capsys.readouterr().err.endswith(
        "resumed with learning rate 0.1 -> 1e-05 of discriminator; "
        "betas [0.9, 0.999] -> [0.5, 0.9], eps 1e-08 -> 1e-06, weight decay 0.01 -> 0.25 of generator\n"
    )


def test_each_group_has_its_own_rate(resumed, capsys):
    found = resumed(with_rates(0.1, 0.5), with_rates(0.1, 0.25))
    assert [group["lr"] for group in found.groups()] == [0.1, 0.25]
    assert "resumed with learning rate 0.5 -> 0.25 of discriminator, generator\n" in capsys.readouterr().err


@pytest.mark.parametrize("change", [lambda checkpoint: None, forget], ids=["now", "earlier version"])
def test_a_schedule_goes_on_from_where_it_was_with_another_rate(resumed, capsys, change):
    found = resumed(halved(0.8), halved(0.1), change)
    (group,) = found.groups()
    assert (group["initial_lr"], group["lr"]) == (0.1, 0.1 * 0.5**2)
    assert capsys.readouterr().err == "resumed with learning rate 0.8 -> 0.1\n"


def test_the_first_batch_after_a_resume_has_the_new_rate_at_the_place_of_the_schedule(resumed, monkeypatch):
    used = []
    monkeypatch.setattr(TwoNetworks, "on_train_batch_start", lambda m, *_: used.append(m.groups()[0]["lr"]))
    resumed(halved(0.8), halved(0.1))
    assert used == [0.8, 0.05]


def test_schedules_in_a_row_all_get_the_rate(resumed):
    def configure(rate):
        def make(module):
            optimizer = SGD(module.parameters(), lr=rate)
            parts = [LambdaLR(optimizer, lambda step: 0.5), LambdaLR(optimizer, lambda step: 0.25)]
            return [optimizer], [SequentialLR(optimizer, parts, milestones=[2])]

        return make

    assert resumed(configure(0.8), configure(0.4)).groups()[0]["lr"] == 0.1


def test_a_rate_of_0_has_no_factor(resumed):
    assert resumed(with_rates(0.0), with_rates(0.5)).groups()[0]["lr"] == 0.5


def test_a_rate_that_a_callback_has_changed_keeps_its_factor(resumed):
    def changed(checkpoint):
        checkpoint["optimizer_states"][0]["param_groups"][0]["lr"] = 0.05

    assert resumed(with_rates(0.2), with_rates(0.2), changed).groups()[0]["lr"] == 0.05
    assert resumed(with_rates(0.2), with_rates(0.4), changed).groups()[0]["lr"] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("before", "now", "change", "message"),
    [
        (with_rates(0.1), with_rates(0.1, kind=Adam), None, "has the state of the optimizer SGD, but now it is Adam"),
        (with_rates(0.1), with_rates(0.1, kind=Adam), forget, "has dampening, momentum, nesterov, which Adam lacks"),
        (of_a_gan(), with_rates(0.1), None, "has the state of 2 optimizers, but now there are 1"),
        (with_rates(0.1), lambda m: SGD(m.parameters()), None, "SGD has 2 groups of parameters, but now it has 1"),
        (halved(0.1), lambda m: SGD(m.parameters()), None, "schedule of SGD was LambdaLR and is none now"),
        (lambda m: SGD(m.parameters()), halved(0.1), None, "schedule of SGD was none and is LambdaLR now"),
    ],
)
def test_other_optimizers_are_refused(resumed, before, now, change, message):
    with pytest.raises(UserError, match=f"{message}: a resume goes on with their state, and only their options"):
        resumed(before, now, change or (lambda checkpoint: None))


def test_fused_is_exchanged_before_the_state_is_restored(resumed):
    found = resumed(lambda m: Adam(m.parameters(), fused=True), lambda m: Adam(m.parameters(), fused=False))
    assert found.groups()[0]["fused"] is False
