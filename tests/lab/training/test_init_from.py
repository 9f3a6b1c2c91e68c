"""fit --init_from: what is taken from another run, what is not, and that a resume does not do it again."""

import pytest
import torch
import yaml
from torch import nn
from torchmetrics.aggregation import MeanMetric

import cli
from lab.errors import UserError
from lab.training.init_from import check_family, init_from, take_weights
from lightning_models.gan import GAN
from lightning_models.gan_variants import LSGAN
from lightning_models.modules.augmentation import DiffAugment
from lightning_models.networks.ema import ExponentialMovingAverage
from lightning_models.vae import VAE
from tests import tiny_runs
from tests.tiny_runs import checkpoint_of, copied


class Pair(nn.Module):
    """Two layers, the first with or without an average of its weights."""

    def __init__(self, width=2, averaged=False, **others):
        super().__init__()
        self.a, self.b = nn.Linear(2, 2), nn.Linear(2, width)
        if averaged:
            self.a_ema = ExponentialMovingAverage(self.a)
        for name, module in others.items():
            self.add_module(name, module)
        self.hparams = {}


def weights(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def test_what_fits_is_taken_and_all_else_is_listed():
    old, new = Pair(2, c=nn.Linear(1, 1)), Pair(3, d=nn.Linear(1, 1, bias=False))
    before = weights(new)
    taken = take_weights(old.state_dict(), new)
    assert taken.names == ["a.weight", "a.bias"]
    assert taken.problems == [
        "b.weight: (2, 2) there, (3, 2) here",
        "b.bias: (2,) there, (3,) here",
        "d.weight: not in the checkpoint",
    ]
    assert taken.unused == ["c.weight", "c.bias"]
    after = weights(new)
    assert all(torch.equal(after[name], old.state_dict()[name]) for name in taken.names)
    assert all(torch.equal(after[name], before[name]) for name in ("b.weight", "b.bias", "d.weight"))


@pytest.mark.parametrize("had_average", [True, False])
def test_the_average_starts_as_that_of_the_other_run_or_as_the_weights(had_average):
    old, new = Pair(averaged=had_average), Pair(averaged=True)
    if had_average:
        nn.init.constant_(old.a_ema.average.weight, 5.0)
    assert take_weights(old.state_dict(), new).problems == []
    assert torch.equal(new.a.weight, old.a.weight)
    assert torch.equal(new.a_ema.average.weight, old.a_ema.average.weight if had_average else old.a.weight)


def test_an_average_that_nobody_needs_any_more_is_not_used():
    taken = take_weights(Pair(averaged=True).state_dict(), Pair())
    assert taken.problems == []
    assert taken.unused == ["a_ema.average.weight", "a_ema.average.bias"]
    assert taken.summary("x.ckpt", ["n"]).splitlines() == [
        "init_from    x.ckpt: 4 of 4 weights and buffers of this model taken",
        "  not used   2 of a_ema that this model does not have",
        "  note       n",
    ]


def test_what_belongs_to_the_training_before_is_left():
    def pair():
        persistent = MeanMetric()
        persistent.persistent(True)
        augmentation = DiffAugment((1, 8, 8), (-1.0, 1.0), target=0.6)
        return Pair(augmentation=augmentation, evaluation=persistent)

    old, new = pair(), pair()
    old.augmentation.probability.fill_(0.7)
    taken = take_weights(old.state_dict(), new)
    assert new.augmentation.probability == 0
    assert taken.names == ["a.weight", "a.bias", "b.weight", "b.bias"]
    assert taken.problems == taken.unused == []


def test_a_long_list_is_cut():
    old, new = (
        nn.Sequential(*(nn.Linear(2, 2) for _ in range(15))),
        nn.Sequential(*(nn.Linear(3, 3) for _ in range(15))),
    )
    lines = take_weights(old.state_dict(), new).summary("x.ckpt", []).splitlines()
    assert lines[0] == "init_from    x.ckpt: 0 of 30 weights and buffers of this model taken"
    assert len(lines) == 1 + 20 + 1
    assert lines[-1] == "  not taken  10 more"


def test_another_family_is_refused(gan_run, capsys):
    path = str(gan_run / "checkpoints" / "last.ckpt")
    check_family(path, GAN)
    check_family(path, LSGAN)
    with pytest.raises(UserError) as error:
        check_family(path, VAE)
    assert str(error.value) == (
        f"--init_from {path} holds a GAN, from which a VAE cannot start: give a checkpoint of the family VAE"
    )


def test_one_of_another_project_or_of_which_nothing_fits(tmp_path):
    path = str(tmp_path / "a.ckpt")
    torch.save({"state_dict": {"z": torch.ones(1)}}, path)
    with pytest.raises(UserError, match=r"a\.ckpt holds no model of this project"):
        check_family(path, GAN)
    with pytest.raises(UserError, match=r"no weights of .*a\.ckpt fit this Pair \(a\.weight: not in the checkpoint; "):
        init_from(path, Pair())


def test_another_vocabulary_is_noted(tmp_path, capsys):
    model = Pair()
    model.hparams = {"vocabulary": ["b", "a"], "class_names": ["x"]}
    known = {"vocabulary": ["a", "b"], "class_names": ["x"]}
    torch.save({"state_dict": model.state_dict(), "hyper_parameters": known}, tmp_path / "a.ckpt")
    init_from(str(tmp_path / "a.ckpt"), model)
    (note,) = [line for line in capsys.readouterr().err.splitlines() if "note" in line]
    assert "the vocabulary differ (2 ('a' 'b') there, 2 ('b' 'a') here)" in note


# From the command line


def test_a_run_starts_from_the_weights_of_another_and_resumes_without_it(gan_run, tmp_path, capsys):
    run, source = tmp_path / "run", tmp_path / "source"
    copied(gan_run, source)
    lr = ["--model.optimizer_d.lr", "1e-30", "--model.optimizer_g.lr", "1e-30"]  # nothing moves
    options = [*tiny_runs.GAN, *lr, "--trainer.max_epochs", "1", "--trainer.log_every_n_steps", "1"]
    last = str(source / "checkpoints" / "last.ckpt")
    cli.main([*options, "--run_dir", str(run), "--init_from", last])
    assert f"init_from    {last}: 22 of 22 weights and buffers" in capsys.readouterr().err
    old, new = (torch.load(f / "checkpoints" / "last.ckpt", weights_only=True) for f in (source, run))
    assert new["global_step"] == 4 == old["global_step"] // 2
    moving = [name for name in new["state_dict"] if "ema" in name or "running" in name or "num_batches" in name]
    for name, weight in new["state_dict"].items():
        if name not in moving:
            assert torch.equal(weight, old["state_dict"][name]), name
    assert yaml.safe_load((run / "config.yaml").read_text())["init_from"] == last

    (source / "checkpoints" / "last.ckpt").unlink()  # the run does not need it any more
    cli.main(["fit", "-c", str(run / "config.yaml"), *checkpoint_of(run), "--trainer.max_epochs", "2"])
    assert "init_from" not in capsys.readouterr().err
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 8


def test_a_resumed_run_cannot_start_from_elsewhere(gan_run, tmp_path, capsys):
    run = copied(gan_run, tmp_path / "run")
    with pytest.raises(SystemExit, match=r"^2$"):
        cli.main(["fit", "-c", str(run / "config.yaml"), *checkpoint_of(run), "--init_from", "other.ckpt"])
    assert "but init_from null -> other.ckpt: leave that as it was" in capsys.readouterr().err
