"""Options of a class that is exchanged for another one."""

import pytest
import yaml

from lab.compat.class_changes import keep_only_what_was_set
from lab.training.cli import ProjectCLI


@pytest.fixture
def resolved(in_tmp_path, monkeypatch, capsys):
    """What `fit` would run with; nothing is run."""
    keep_only_what_was_set()

    def options(*args):
        with pytest.raises(SystemExit) as stopped:
            ProjectCLI(["fit", "--data", "MNIST", *args, "--print_config"])
        assert stopped.value.code == 0
        return yaml.safe_load(capsys.readouterr().out)["model"]["init_args"]

    return options


def test_defaults_of_the_old_network_do_not_go_into_the_new_one(resolved):
    generator = resolved("--model", "GAN", "--model.generator", "ConvGenerator")["generator"]["init_args"]
    assert generator["normalization"] == "none"  # the default DCGANGenerator has "batch"
    assert generator["output"] == "sigmoid"
    assert generator["initialization"] == "glorot"


def test_defaults_of_the_old_model_do_not_go_into_the_new_one(resolved, in_tmp_path):
    (in_tmp_path / "gan.yaml").write_text("model: {class_path: GAN, init_args: {latent_dim: 50, n_critic: 2}}\n")
    model = resolved("-c", "gan.yaml", "--model", "WGAN")
    assert model["latent_dim"] == 50  # was set
    assert model["n_critic"] == 2
    assert model["objective"]["class_path"].endswith("Wasserstein")
    assert model["regularizer"]["class_path"].endswith("WeightClipping")
    assert model["optimizer_d"]["class_path"] == "torch.optim.RMSprop"
    assert model["optimizer_d"]["init_args"]["lr"] == 5e-5


def test_what_was_set_is_kept(resolved):
    model = resolved("--model", "GAN", "--model.optimizer_g.lr", "1e-3")
    assert model["optimizer_g"]["init_args"]["lr"] == 1e-3
    assert model["optimizer_g"]["init_args"]["betas"] == [0.5, 0.999]
    model = resolved("--model", "GAN", "--model.optimizer_g", "RMSprop", "--model.optimizer_g.lr", "3e-4")
    assert model["optimizer_g"]["class_path"] == "torch.optim.RMSprop"
    assert model["optimizer_g"]["init_args"]["lr"] == 3e-4


def test_what_was_set_to_the_default_of_another_network_is_kept(resolved, in_tmp_path):
    networks = "{class_path: ConvGenerator, init_args: {hidden_layers: 2, normalization: batch, output: tanh}}"
    (in_tmp_path / "wgan.yaml").write_text(f"model: {{class_path: WGAN, init_args: {{generator: {networks}}}}}\n")
    generator = resolved("-c", "wgan.yaml", "--model", "GAN")["generator"]  # by default a DCGANGenerator: batch, tanh
    assert generator["class_path"].endswith("ConvGenerator")
    assert generator["init_args"]["normalization"] == "batch"
    assert generator["init_args"]["output"] == "tanh"
