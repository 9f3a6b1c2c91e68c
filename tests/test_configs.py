"""Every shipped config: what it makes, what it takes from its paper, and a few batches of it on small stand-in data."""

import json
from pathlib import Path

import jsonargparse
import pytest
import torch
import yaml
from pytorch_lightning import LightningDataModule, LightningModule

import cli
from lab.training.checkpoints import load_model
from lab.training.cli import check_pair
from lab.training.plan import Plan
from lab.training.signatures import find_class
from tests.few_batches import few_batches, stand_in_paths
from tests.recipes import ELSEWHERE, OURS, RECIPES, differences, names_in, numbers_in

ROOT = Path(__file__).parents[1]
NETWORKS = ("generator", "discriminator", "encoder", "decoder", "network")
CONFIGS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "configs").glob("*/*.yaml"))


PUBLISHED_PARAMETERS = {  # of generator and discriminator, of encoder and decoder, or of the network
    "configs/gan/mnist_mlp.yaml": (1_510_032, 533_505),
    "configs/gan/mnist_dcgan.yaml": (1_164_289, 40_705),
    "configs/gan/mnist_upsampling.yaml": (381_281, 259_073),
    "configs/gan/faces_64.yaml": (12_660_355, 11_038_081),
    "configs/gan/faces_64_sn.yaml": (12_660_355, 11_038_081),
    "configs/lsgan/faces_64.yaml": (12_660_355, 11_038_081),
    "configs/vae/mnist_mlp.yaml": (330_040, 322_784),
    "configs/classifier/mnist_mlp.yaml": (178_110,),
    "configs/classifier/mnist_mlp_one_cycle.yaml": (178_110,),
    "configs/classifier/mnist_mlp_small.yaml": (38_355,),
    "configs/classifier/mnist_cnn.yaml": (7_240,),
}


def test_every_config_follows_a_source_or_is_ours():
    assert sorted(f"configs/{name}.yaml" for name in [*RECIPES, *OURS]) == CONFIGS


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_has_every_number_that_its_config_states_of_the_training(name):
    config = jsonargparse.get_loader("yaml")((ROOT / f"configs/{name}.yaml").read_text())
    stated = numbers_in({part: config[part] for part in ("model", "data", "trainer")})
    assert stated - names_in(RECIPES[name]) - ELSEWHERE == set()


@pytest.fixture(scope="module")
def parser():
    """The parser of `fit`, which takes longer to make than to use."""
    return Plan(["--model", "GAN", "--data", "Digits"]).parser


@pytest.mark.parametrize("config_path", CONFIGS)
def test_a_config_makes_its_data_and_its_model_and_follows_its_paper(config_path, parser, data_root, monkeypatch):
    monkeypatch.chdir(ROOT)
    config = parser.parse_args(["fit", "-c", config_path, *stand_in_paths(config_path, data_root)])
    assert not differences(config.fit, RECIPES.get(config_path.removeprefix("configs/").removesuffix(".yaml"), {}))
    model = find_class(config.fit.model.class_path, LightningModule)
    check_pair(model, find_class(config.fit.data.class_path, LightningDataModule))
    with torch.device("meta"):  # weights without values: the largest networks take seconds to be drawn
        made = parser.instantiate_classes(config).fit
    model, parameters = made.model, PUBLISHED_PARAMETERS.get(config_path)
    if parameters is not None:
        networks = [network for name, network in model.named_children() if name in NETWORKS]
        assert tuple(sum(p.numel() for p in network.parameters()) for network in networks) == parameters
    assert callable(model.configure_optimizers)


@pytest.mark.full
@pytest.mark.parametrize("config_path", CONFIGS)
def test_a_config_trains(config_path, data_root, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # a judge is for this test only
    run_dir = tmp_path / "run"
    cli.main(["fit", "-c", config_path, "--quiet", "--run_dir", str(run_dir), *few_batches(config_path, data_root)])
    parameters = json.loads((run_dir / "summary.json").read_text())["parameters"]
    if config_path in PUBLISHED_PARAMETERS:
        assert tuple(parameters.values()) == PUBLISHED_PARAMETERS[config_path]
    load_model(str(run_dir / "checkpoints" / "last.ckpt"))
    assert "Unable to serialize" not in (run_dir / "config.yaml").read_text()
    assert yaml.safe_load((run_dir / "config.yaml").read_text())["data"]["init_args"]["batch_size"] == 2
