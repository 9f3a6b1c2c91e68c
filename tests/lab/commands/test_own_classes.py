"""Classes of the user's own, a model, a network and data, in every command; and typos in their names."""

import sys

import pytest
import torch

import cli
from tests import tiny_runs
from tests.tiny_runs import checkpoint_of, resumed

SOURCE = '''
import torch
from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader

from datamodules.images import Digits
from lightning_models.gan import GAN
from lightning_models.networks import MLPGenerator


class MyGAN(GAN):
    """Mine."""

    def __init__(self, *args, flavour: str = "plain", **kwargs):
        super().__init__(*args, **kwargs)
        self.flavour = flavour


class MyGenerator(MLPGenerator):
    """Mine."""


class MyDigits(Digits):
    """Mine."""


class MyImages(LightningDataModule):
    """Nothing of this project is inherited."""

    image_shape, value_range, class_names = (1, 8, 8), (-1.0, 1.0), ["dark", "light"]

    def __init__(self, count: int = 8):
        super().__init__()
        self.count = count

    def train_dataloader(self):
        images = torch.linspace(-1, 1, self.count).reshape(-1, 1, 1, 1).expand(-1, 1, 8, 8)
        return DataLoader(list(zip(images, torch.arange(self.count) % 2)), batch_size=4)

    val_dataloader = test_dataloader = predict_dataloader = train_dataloader
'''


@pytest.fixture(scope="module", autouse=True)
def my_pkg(tmp_path_factory):
    """A package on the Python path."""
    folder = tmp_path_factory.mktemp("path")
    (folder / "my_pkg_of_tests").mkdir()
    (folder / "my_pkg_of_tests" / "__init__.py").write_text(SOURCE)
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))
    sys.modules.pop("my_pkg_of_tests", None)


def small(model="my_pkg_of_tests.MyGAN", data="my_pkg_of_tests.MyDigits"):
    return [
        *("fit", "--model", model, "--data", data, "--model.latent_dim", "4", *tiny_runs.CPU),
        *("--model.generator", "my_pkg_of_tests.MyGenerator", "--model.discriminator.width", "8"),
        *("--trainer.limit_train_batches", "2", "--trainer.limit_val_batches", "1", "--trainer.max_epochs", "1"),
        *("--samples.grid", "2", "--trainer.log_every_n_steps", "1"),
    ]


@pytest.fixture(scope="module")
def run(my_pkg, tmp_path_factory):
    run = tmp_path_factory.mktemp("own") / "run"
    cli.main([*small(), "--model.flavour", "sweet", "--run_dir", str(run)])
    return run


@pytest.fixture
def forgotten():
    """As in a new process: nothing of the package is imported yet."""
    module = sys.modules.pop("my_pkg_of_tests", None)
    yield
    if module is not None:
        sys.modules["my_pkg_of_tests"] = module


def refused(arguments, capsys):
    capsys.readouterr()
    with pytest.raises(SystemExit) as status:
        cli.main(arguments)
    assert status.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("command", ["sample", "interpolate"])
def test_a_checkpoint_of_the_run_is_enough(run, tmp_path, forgotten, command):
    cli.main([command, *checkpoint_of(run), "--output", str(tmp_path / "grid.png")])
    assert (tmp_path / "grid.png").is_file()


def test_options_of_ones_own_are_in_the_checkpoint(run):
    options = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["hyper_parameters"]
    assert options["flavour"] == "sweet"
    assert options["generator"]["class_path"] == "my_pkg_of_tests.MyGenerator"


def test_a_checkpoint_alone_needs_the_name_of_the_package(run, tmp_path, forgotten, capsys):
    path = tmp_path / "alone.ckpt"
    path.write_bytes((run / "checkpoints" / "last.ckpt").read_bytes())
    output = ["--output", str(tmp_path / "grid.png")]
    message = refused(["sample", "--ckpt_path", str(path), *output], capsys)
    assert "if you trust my_pkg_of_tests, add --allow my_pkg_of_tests" in message
    assert "my_pkg_of_tests" not in sys.modules
    for option in (["--allow", "my_pkg_of_tests"], ["--allow=my_pkg_of_tests.networks", "--overwrite"]):
        cli.main(["sample", "--ckpt_path", str(path), *output, *option])
    assert "--allow is '': expected the name" in refused(["sample", "--ckpt_path", str(path), "--allow"], capsys)
    assert "--allow is '../x': expected" in refused(["sample", "--allow=../x"], capsys)


@pytest.mark.parametrize("command", ["validate", "test", "predict"])
def test_the_commands_with_a_config(run, forgotten, command):
    cli.main([command, *resumed(run), *tiny_runs.CPU, "--quality.network", "none"])
    assert (run / command).is_dir()


def test_a_resume_and_a_page(run, tmp_path, forgotten, capsys):
    copy = tiny_runs.copied(run, tmp_path / "run")
    cli.main(["fit", *resumed(copy), "--trainer.max_epochs", "2", "--model.optimizer_g.lr", "1e-5"])
    assert "resumed with learning rate 0.0002 -> 1e-05 of generator" in capsys.readouterr().err
    cli.main(["report", str(copy)])
    assert "MyGAN" in (copy / "report.html").read_text(encoding="utf-8")


def test_data_that_inherits_nothing(tmp_path, capsys):
    run = tmp_path / "run"
    cli.main([*small(data="my_pkg_of_tests.MyImages"), "--run_dir", str(run)])
    for command in ("validate", "predict"):
        cli.main([command, *resumed(run), *tiny_runs.CPU, "--quality.network", "none"])
    cli.main(["fit", *resumed(run), "--trainer.max_epochs", "2", "--data.count", "12"])
    assert "data.count 8 -> 12" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (small(model="my_pkg_of_tests.MyGan"), "my_pkg_of_tests.MyGan: there is no such class; did you mean MyGAN"),
        (small(model="my_pkg_of_test.MyGAN"), "there is no module my_pkg_of_test; did you mean my_pkg_of_tests?"),
        (small(model="no_pkg.MyGan"), "--model no_pkg.MyGan: there is no module no_pkg"),
        (small(data="my_pkg_of_tests.MyDigit"), "there is no such class; did you mean MyDigits"),
        ([*small(), "--model.generator", "my_pkg_of_tests.MyGenerater"], "no such class; did you mean MyGenerator"),
        ([*small(), "--model.generator", "my_pkg_of_tests.MyDigits"], "this is no kind of Generator"),
    ],
)  # fmt: skip
def test_a_typo_names_the_nearest(arguments, message, capsys):
    assert message in refused(arguments, capsys)
