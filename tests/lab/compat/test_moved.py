"""What version 0.1 wrote still opens: see tests/data/before_0.2/README.md."""

import csv
import importlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import cli
from datamodules.sequences.surnames import surnames_by_country
from datamodules.vocabulary import normalized
from lab.compat.moved import MOVED_CLASSES, MOVED_CONFIGS, MOVED_MODULES, current_path
from lab.training.checkpoints import load_model
from lab.training.plan import Plan

ROOT = Path(__file__).parents[3]
OLD = ROOT / "tests" / "data" / "before_0.2"
FAMILIES = ("gan", "vae", "image_classifier", "sequence_classifier", "language_model")

# Every class that a config or a checkpoint of commit a910e9e could name, under each of its paths.
OLD_CLASSES = {
    "datamodules.images": "CIFAR10 Digits FashionMNIST ImageFolder MNIST",
    "datamodules.names": "Languages Names",
    "datamodules.palindromes": "Palindromes",
    "datamodules.stacked_mnist": "StackedMNIST",
    "datamodules.text": "Text",
    "lightning_models.callbacks.alarms": "Alarms",
    "lightning_models.callbacks.best_checkpoint": "BestCheckpoint",
    "lightning_models.callbacks.confusion": "ConfusionMatrices",
    "lightning_models.callbacks.image_samples": "ImageSamples",
    "lightning_models.callbacks.learning_curves": "LearningCurves",
    "lightning_models.callbacks.mistakes": "WorstMistakes",
    "lightning_models.callbacks.progress": "ProgressBar",
    "lightning_models.callbacks.publish_judge": "PublishJudge",
    "lightning_models.callbacks.random_state": "RandomState",
    "lightning_models.callbacks.resume": "ResumeAfterEpoch",
    "lightning_models.callbacks.run_summary": "RunSummary",
    "lightning_models.callbacks.sample_quality": "SampleQuality",
    "lightning_models.callbacks.stopped": "CheckpointWhenStopped",
    "lightning_models.callbacks.text_samples": "TextSamples",
    "lightning_models.callbacks.throughput": "Throughput",
    "lightning_models.callbacks.vae_pictures": "VAEPictures",
    "lightning_models.gan": "GAN",
    "lightning_models.gan_variants": "LSGAN WGAN WGANGP",
    "lightning_models.image_classifier": "ImageClassifier",
    "lightning_models.language_model": "CharLanguageModel",
    "lightning_models.likelihoods": "Bernoulli BinarizedBernoulli Gaussian Likelihood",
    "lightning_models.networks": (
        "CNNClassifier Classifier ConvDiscriminator ConvGenerator DCGANDiscriminator DCGANGenerator Discriminator "
        "ExponentialMovingAverage Generator MLPClassifier MLPDiscriminator MLPGenerator"
    ),
    "lightning_models.networks.char_rnn": "CharRNN",
    "lightning_models.networks.classifiers": "CNNClassifier MLPClassifier",
    "lightning_models.networks.conv": "ConvDiscriminator ConvGenerator",
    "lightning_models.networks.dcgan": "DCGANDiscriminator DCGANGenerator",
    "lightning_models.networks.interfaces": "Classifier Discriminator Generator",
    "lightning_models.networks.mlp": "MLPDiscriminator MLPGenerator",
    "lightning_models.networks.recurrent": "GRU LSTM RNN Recurrent",
    "lightning_models.objectives": "Hinge LeastSquares Minimax NonSaturating Objective Wasserstein",
    "lightning_models.regularizers": "GradientPenalty R1 Regularizer WeightClipping",
    "lightning_models.schedules": "Constant Cosine OneCycle Schedule Steps",
    "lightning_models.sequence_classifier": "SequenceClassifier",
    "lightning_models.vae": "VAE",
}
NEW_NAMES = {"lightning_models.callbacks.publish_judge.PublishJudge": "PublishClassifier"}
OLD_PATHS = [f"{module}.{name}" for module, names in OLD_CLASSES.items() for name in names.split()]


def checkpoint(family):
    return str(OLD / family / "checkpoints" / "last.ckpt")


@pytest.fixture
def answers():
    return json.loads((OLD / "expected.json").read_text())


@pytest.mark.parametrize("old", OLD_PATHS)
def test_a_class_of_version_0_1_is_found(old):
    module, _, name = current_path(old).rpartition(".")
    found = getattr(importlib.import_module(module), name)
    assert isinstance(found, type)
    assert found.__name__ == NEW_NAMES.get(old, old).rpartition(".")[2]


@pytest.mark.parametrize("module", MOVED_MODULES)
def test_the_table_names_only_modules_that_are_gone(module):
    assert any(old.startswith(f"{module}.") for old in OLD_PATHS) or module == "lightning_models.alarm_rules"
    assert importlib.util.find_spec(module) is None
    assert importlib.util.find_spec(MOVED_MODULES[module]) is not None


@pytest.mark.parametrize("old", MOVED_CLASSES)
def test_a_renamed_class_is_found_by_its_old_path_and_short_name(old):
    module, _, name = current_path(old).rpartition(".")
    assert isinstance(getattr(importlib.import_module(module), name), type)


@pytest.mark.parametrize(("old", "new"), MOVED_CONFIGS.items())
def test_a_renamed_config_has_only_its_new_path(old, new):
    assert not (ROOT / old).exists()
    assert (ROOT / new).is_file()


def test_a_current_class_and_another_projects_keep_their_paths():
    assert current_path("lightning_models.losses.Hinge") == "lightning_models.losses.Hinge"
    assert current_path("torch.optim.Adam") == "torch.optim.Adam"
    assert current_path("Digits") == "Digits"


class TestCheckpoints:
    """Each answers a fixed input as the code that made it did."""

    latent = torch.linspace(-1.5, 1.5, 8)
    images = torch.linspace(0, 1, 2 * 64).reshape(2, 1, 8, 8)
    characters = torch.tensor([[3, 14, 15, 9, 2, 6, 5], [35, 8, 9, 7, 9, 0, 0]])

    @pytest.fixture(autouse=True)
    def without_gradients(self):
        with torch.no_grad():
            yield

    def test_gan(self, answers):
        model, expected = load_model(checkpoint("gan")), answers["gan"]
        assert flat(model.decode(self.latent.reshape(2, 4))[:, :, 3]) == expected["decode"]
        assert flat(model.discriminator(2 * self.images - 1)) == expected["discriminator"]

    def test_vae(self, answers):
        model, expected = load_model(checkpoint("vae")), answers["vae"]
        encoded = torch.cat([part.reshape(2, -1) for part in model.encode(self.images)], dim=1)
        assert flat(encoded) == expected["encoder"]
        assert flat(model.decode(self.latent[:4].reshape(2, 2))[:, :, 3]) == expected["decode"]

    def test_image_classifier(self, answers):
        model = load_model(checkpoint("image_classifier"))
        assert flat(model(2 * self.images - 1)) == answers["image_classifier"]["logits"]

    def test_sequence_classifier(self, answers):
        model = load_model(checkpoint("sequence_classifier"))
        assert flat(model(self.characters, torch.tensor([7, 5]))) == answers["sequence_classifier"]["logits"]

    def test_language_model(self, answers):
        model = load_model(checkpoint("language_model"))
        assert flat(model.network(self.characters[:1])[0][:, -1]) == answers["language_model"]["logits"]


def flat(tensor):
    return pytest.approx(tensor.flatten().tolist(), abs=2e-6)


def options(family):
    given = ["-c", str(OLD / family / "config.yaml")]
    return [*given, "--data.path", str(OLD / "text.txt")] if family == "language_model" else given


@pytest.mark.parametrize("family", FAMILIES)
def test_the_config_of_a_run_makes_the_same_model(family):
    model = load_model(checkpoint(family))
    # Names are split otherwise since 0.2, and other training lines may have other characters.
    known = ["--data.vocabulary", json.dumps(model.vocabulary)] if family == "sequence_classifier" else []
    weights = Plan([*options(family), *known]).model.state_dict()
    expected = model.state_dict()
    assert {name: weight.shape for name, weight in weights.items()} == {
        name: weight.shape for name, weight in expected.items()
    }


@pytest.fixture
def private_cache(monkeypatch, tmp_path):
    """The config of the image classifier publishes its network."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.full
@pytest.mark.parametrize("family", FAMILIES)
def test_validate_measures_what_the_old_run_logged(family, tmp_path, private_cache):
    given = options(family)
    if family == "sequence_classifier":  # since 0.2 names are split by a hash of the name
        given += ["--data.path", str(surnames_as_split_before(tmp_path / "names"))]
    cli.main(["validate", *given, "--ckpt_path", checkpoint(family), "--run_dir", str(tmp_path)])
    measured = json.loads((tmp_path / "validate" / "summary.json").read_text())["metrics"]
    logged = last_values(OLD / family / "metrics.csv")
    compared = [name for name in logged if name.startswith("val/")]
    assert compared
    if family == "language_model":  # it was stopped inside its second epoch, after its last validation
        return
    assert {name: measured[name] for name in compared} == pytest.approx({name: logged[name] for name in compared}, 1e-3)


def surnames_as_split_before(folder):
    """The embedded surnames in train/, val/ and test/, split by their place in the list as version 0.1 did, seed 0."""
    names = {
        country: list(dict.fromkeys(normalized(name, False) for name in own))
        for country, own in surnames_by_country().items()
    }
    split_of = {}
    for country in sorted(names, key=lambda name: (len(names[name]), name)):
        own = [name for name in names[country] if name not in split_of]
        order = np.random.default_rng([0, list(names).index(country)]).permutation(len(own))
        ends = np.cumsum([round(0.1 * len(own))] * 2)
        for place, number in enumerate(order):
            split_of[own[number]] = ("val", "test", "train")[int(np.searchsorted(ends, place, side="right"))]
    for split in ("train", "val", "test"):
        (folder / split).mkdir(parents=True)
        for country, own in names.items():
            lines = "".join(f"{name}\n" for name in own if split_of[name] == split)
            (folder / split / f"{country}.txt").write_text(lines, encoding="utf-8")
    return folder


def last_values(metrics):
    """The last value of each column of a metrics.csv."""
    values = {}
    with metrics.open(newline="") as file:
        for row in csv.DictReader(file):
            values |= {name: float(value) for name, value in row.items() if value}
    return values


@pytest.mark.filterwarnings("ignore:The dirpath has changed")  # the stored runs were made in another folder
@pytest.mark.full
@pytest.mark.parametrize("family", FAMILIES)
def test_a_run_resumes(family, tmp_path, private_cache):
    longer = ["--trainer.max_steps=50"] if family == "language_model" else ["--trainer.max_epochs=3"]
    cli.main(["fit", *options(family), "--ckpt_path", checkpoint(family), "--run_dir", str(tmp_path / "run"), *longer])
    state = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    before = torch.load(checkpoint(family), weights_only=True)
    assert state["epoch"] == 2
    assert state["global_step"] > before["global_step"]


@pytest.fixture
def study_dir(tmp_path, monkeypatch):
    """A copy of the study's folder; its base config is named from the project's folder."""
    monkeypatch.chdir(ROOT)
    return Path(shutil.copytree(OLD / "study", tmp_path / "study"))


def test_a_study_gets_its_page(study_dir):
    cli.main(["report", str(study_dir)])
    page = (study_dir / "report.html").read_text(encoding="utf-8")
    assert "Two sizes of the latent vector" in page
    assert "0.0003432" in page
    assert "0.0003766" in page  # with a minus sign of its own


def test_a_finished_study_runs_nothing_again(study_dir, capsys):
    results = (study_dir / "results.csv").read_text()
    with pytest.raises(SystemExit) as ended:
        cli.main(["study", str(OLD / "latent.yaml"), "--study_dir", str(study_dir)])
    assert ended.value.code == 0
    assert "2 complete" in capsys.readouterr().out
    assert (study_dir / "results.csv").read_text() == results
    assert not list(study_dir.glob("trials/*/checkpoints"))


@pytest.mark.full
def test_an_unfinished_study_runs_the_trial_that_is_missing(study_dir, capsys):
    journal = study_dir / "journal.log"
    lines = journal.read_text().splitlines(keepends=True)
    finished = next(n for n, line in enumerate(lines) if json.loads(line).get("state") == 1)
    journal.write_text("".join(lines[: finished + 1]))
    shutil.rmtree(next(study_dir.glob("trials/0001*")))
    with pytest.raises(SystemExit) as ended:
        cli.main(["study", str(OLD / "latent.yaml"), "--study_dir", str(study_dir)])
    assert ended.value.code == 0
    assert "2 complete" in capsys.readouterr().out
    assert [path.parent.name[:4] for path in study_dir.glob("trials/*/checkpoints")] == ["0001"]


def test_the_old_study_still_says_where_its_trials_started():
    config = yaml.safe_load((OLD / "study" / "study.yaml").read_text())
    assert (ROOT / config["base"]).is_file()
