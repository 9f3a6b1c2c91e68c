import copy
from types import SimpleNamespace

import pytest
import torch

import cli
from lab.errors import UserError
from lightning_models.modules.batch_norm import batch_norm_of_one_number, check_batches_of_one
from lightning_models.networks import DCGANDiscriminator, DCGANGenerator, MLPDiscriminator, MLPGenerator

SHAPE = (1, 8, 8)
DIGITS = ["fit", "--data=Digits", "--quiet", "--trainer.accelerator=cpu", "--trainer.limit_val_batches=0"]
DIGITS += ["--trainer.log_every_n_steps=1"]
GAN = [*DIGITS, "--model=GAN", "--model.discriminator.width=8", "--samples.grid=1", "--trainer.max_epochs=1"]
GAN_MLP = [*GAN, "--model.generator=MLPGenerator", "--model.generator.hidden_dims=[8,8]", "--quality.every_n_epochs=0"]
VAE = [*DIGITS, "--model=VAE", "--data.value_range=[0,1]", "--model.encoder=DCGANDiscriminator"]
VAE_1x1 = [*VAE, "--model.encoder.stages=3", "--model.encoder.width=4", "--quality.every_n_epochs=0"]
ONE_LEFT = "--data.batch_size=68"  # of the 1,293 training images 1 is left for a last batch


@pytest.mark.parametrize(
    ("network", "layer"),
    [
        (MLPGenerator(4, SHAPE, hidden_dims=(8, 8)), "layers.3"),
        (MLPGenerator(4, SHAPE, hidden_dims=(8, 8), batch_norm=False), None),
        (DCGANGenerator(4, SHAPE, width=8), None),
        (DCGANGenerator(4, SHAPE, width=8, stages=3), "layers.2"),  # a base map of 1 x 1
        (DCGANDiscriminator(SHAPE, width=8), None),
        (DCGANDiscriminator(SHAPE, width=8, stages=3), "layers.6"),
        (DCGANDiscriminator(SHAPE, width=8, stages=3, normalization="layer", spectral_norm=True), None),
        (MLPDiscriminator(SHAPE), None),
    ],
)
def test_the_layer_that_one_image_is_too_few_for_is_the_one_that_fails(network, layer):
    example = torch.zeros(1, 4) if hasattr(network, "latent_dim") else torch.zeros(1, *SHAPE)
    before = copy.deepcopy(network.state_dict())
    assert batch_norm_of_one_number(network, example) == layer
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert network.training
    if layer is None:
        network(example)
    else:
        with pytest.raises(ValueError, match="Expected more than 1 value per channel"):
            network(example)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            [*GAN_MLP, ONE_LEFT],
            "the last training batch of an epoch holds one image, but BatchNorm in model.generator (layers.3) needs "
            "at least two to train: data.batch_size is 68, use another one, or --data.drop_last true",
        ),
        ([*GAN_MLP, "--data.batch_size=1"], "each training batch holds one image"),
        ([*VAE_1x1, ONE_LEFT], "BatchNorm in model.encoder (layers.6) needs at least two"),
    ],
)
def test_a_batch_of_one_image_is_refused_before_the_training(options, message, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        cli.main([*options, f"--run_dir={tmp_path / 'run'}"])
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.full
@pytest.mark.parametrize(
    "options",
    [
        [*GAN_MLP, ONE_LEFT, "--data.drop_last=true"],
        [*GAN_MLP, ONE_LEFT, "--trainer.limit_train_batches=2"],
        [*GAN_MLP, ONE_LEFT, "--trainer.limit_train_batches=0.1"],
        [*GAN_MLP, ONE_LEFT, "--trainer.max_steps=2"],
        [*GAN, ONE_LEFT, "--model.generator.width=8", "--quality.every_n_epochs=0"],  # its maps are 4 x 4
    ],
)
def test_what_meets_no_such_batch_trains(options, tmp_path):
    cli.main([*options, f"--run_dir={tmp_path / 'run'}"])
    assert (tmp_path / "run" / "summary.json").exists()


@pytest.mark.parametrize(("size", "found"), [((1, 1), "1"), ((1, 2), None), ((2, 1), None)])
def test_two_numbers_a_channel_are_enough(size, found):
    network = torch.nn.Sequential(torch.nn.Identity(), torch.nn.BatchNorm2d(3))
    assert batch_norm_of_one_number(network, torch.zeros(1, 3, *size)) == found


@pytest.mark.parametrize(
    ("limits", "is_met"),
    [
        ({}, True),
        ({"max_steps": 3}, True),
        ({"max_steps": 2}, False),
        ({"max_steps": 1, "accumulate_grad_batches": 2}, False),
        ({"max_steps": 1, "accumulate_grad_batches": 3}, True),
        ({"limit_train_batches": 2}, False),
        ({"limit_train_batches": 3}, True),
        ({"limit_train_batches": 0.9}, False),
    ],
)
def test_only_batches_that_training_reaches_count(limits, is_met):
    known = {"limit_train_batches": 1.0, "max_steps": -1, "accumulate_grad_batches": 1}
    data = SimpleNamespace(train_batch_sizes=[4, 4, 1])
    module = SimpleNamespace(trainer=SimpleNamespace(**{**known, **limits}, datamodule=data))
    networks = {"generator": (MLPGenerator(4, SHAPE, hidden_dims=(8, 8)), (4,))}
    if is_met:
        with pytest.raises(UserError, match=r"BatchNorm in model\.generator \(layers\.3\) needs at least two"):
            check_batches_of_one(module, networks)
    else:
        check_batches_of_one(module, networks)
