import os
import random

import pytest
import torch

import cli
from lightning_models.feature_extractors import contrastive
from tests import tiny_runs
from tests.cluster import postgresql as postgresql_server
from tests.stand_in_data import (
    write_cifar10,
    write_image_folder,
    write_languages,
    write_mnist,
    write_names,
    write_texts,
)

for name in list(os.environ):
    if name.startswith("SLURM_"):  # runs of the tests are no tasks of the job that the tests are started in
        del os.environ[name]
os.environ["WANDB_MODE"] = "disabled"  # before anything imports wandb; the tests of tracking choose offline themselves
os.environ["JSONARGPARSE_DEPRECATION_WARNINGS"] = "off"  # Lightning 2.6 calls jsonargparse by its old names
torch.set_num_threads(1)  # small networks, and the tests run beside each other


def pytest_addoption(parser):
    parser.addoption(
        "--shuffle", type=int, metavar="SEED", help="run the files, and the tests of each, in random order"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """The order of `--shuffle`: tests of a file stay together, so that its fixtures are made once."""
    seed = config.getoption("--shuffle")
    if seed is not None:
        shuffled = random.Random(seed)
        files = sorted({item.path for item in items})
        place = dict(zip(files, shuffled.sample(range(len(files)), len(files)), strict=True))
        shuffled.shuffle(items)
        items.sort(key=lambda item: place[item.path])


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture(autouse=True, scope="session")
def cache_of_this_session(tmp_path_factory):
    """Decoded images go where nothing else looks, and nothing is found that was not decoded here."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True, scope="session")
def features_learnt_in_no_time():
    """Networks of features learn for two batches; tests of what they learn ask for more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contrastive, "STEPS", (2, 2))
        yield


@pytest.fixture
def in_tmp_path(tmp_path, monkeypatch):
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def as_process(monkeypatch):
    """A function (rank, world_size) after which this process passes for one of a distributed run."""

    def become(rank, world_size):
        monkeypatch.setattr(torch.distributed, "is_initialized", lambda: world_size > 1)
        monkeypatch.setattr(torch.distributed, "get_world_size", lambda: world_size)
        monkeypatch.setattr(torch.distributed, "get_rank", lambda: rank)

    return become


@pytest.fixture
def postgresql():
    """The address of an empty database on a server of our own."""
    if postgresql_server.programs() is None:
        pytest.skip(postgresql_server.NOT_INSTALLED)
    with postgresql_server.server() as url:
        yield url


@pytest.fixture(scope="session")
def data_root(tmp_path_factory):
    """Small data sets in the formats of the real ones."""
    root = tmp_path_factory.mktemp("data")
    write_mnist(root)
    write_cifar10(root)
    write_texts(root)
    write_image_folder(root / "images", count=80, size=128)
    write_names(root)
    write_languages(root)
    return root


# One finished run of each family, which tests read and never change; made when the first test asks for it.


def finished_run(tmp_path_factory, name, options):
    run_dir = tmp_path_factory.mktemp(name) / "run"
    cli.main([*options, "--run_dir", str(run_dir)])
    made = {path: path.stat().st_mtime_ns for path in run_dir.rglob("*")}
    yield run_dir
    assert {path: path.stat().st_mtime_ns for path in run_dir.rglob("*")} == made, f"a test has changed {name}_run"


@pytest.fixture(scope="session")
def gan_run(tmp_path_factory):
    """Two epochs of four batches, each with two validations."""
    yield from finished_run(tmp_path_factory, "gan", [*tiny_runs.GAN, "--trainer.max_epochs", "2"])


@pytest.fixture(scope="session")
def vae_run(tmp_path_factory):
    """One epoch of two batches."""
    options = [*tiny_runs.VAE, "--data.value_range", "[0.0, 1.0]", "--trainer.max_epochs", "1"]
    yield from finished_run(tmp_path_factory, "vae", options)


@pytest.fixture(scope="session")
def classifier_run(tmp_path_factory):
    """Two epochs of four batches."""
    yield from finished_run(tmp_path_factory, "classifier", [*tiny_runs.CLASSIFIER, "--trainer.max_epochs", "2"])


@pytest.fixture(scope="session")
def names_folder(tmp_path_factory):
    """A folder of three classes that a few characters tell apart."""
    folder = tmp_path_factory.mktemp("names")
    for name, letters in (("vowels", "aeiou"), ("nasals", "mn"), ("rest", "stkp")):
        words = {f"{a}{b}{c}" for a in letters for b in letters for c in "xyz"}
        (folder / f"{name}.txt").write_text("\n".join(sorted(words)), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def names_run(tmp_path_factory, names_folder):
    """One epoch of a SequenceClassifier."""
    yield from finished_run(tmp_path_factory, "names", tiny_runs.names(names_folder))


@pytest.fixture(scope="session")
def text_file(tmp_path_factory):
    """A play of three speakers with 29 different characters."""
    speeches = [f"{name}:\nWhat say you? I say it is the {number}th.\n\n" for number in range(90) for name in "ABC"]
    path = tmp_path_factory.mktemp("text") / "play.txt"
    path.write_text("".join(speeches))
    return path


@pytest.fixture(scope="session")
def text_run(tmp_path_factory, text_file):
    """Two epochs of 75 batches."""
    yield from finished_run(tmp_path_factory, "text", [*tiny_runs.text(text_file), "--trainer.max_epochs", "2"])
