"""Measures of samples, on the embedded digits, from the command line."""

import csv
import json
import subprocess
import sys

import pytest
import torch

import cli
from lightning_models.feature_extractors.classifier import (
    classifier_path,
    find_classifier,
    load_classifier,
    publish,
    sha256,
)
from lightning_models.gan import GAN

SMALL = [
    *("--model.latent_dim", "4", "--model.generator.width", "8", "--model.discriminator.width", "8", "--quiet"),
    *("--trainer.accelerator", "cpu", "--trainer.limit_train_batches", "4", "--trainer.limit_val_batches", "1"),
    *("--trainer.log_every_n_steps", "2", "--samples.grid", "2", "--model.ema_decay", "0.9"),
]
GENERATOR = ["fit", "--model", "GAN", "--data", "Digits", *SMALL]
OF_CLASSES_ASKED_FOR = {"intra_fid", "class_agreement"}
MEASURES = {
    *("fid", "fid_digits", "kid", "kid_digits", "kid_std", "precision", "recall", "density", "coverage", "diversity"),
    *("memorization", "modes", "class_kl", "classifier_score", "classifier_score_std"),
    *OF_CLASSES_ASKED_FOR,
}
BY_CLASS = {"modes", "class_kl", "classifier_score", "classifier_score_std"}


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """The checkpoint of a classifier of digits, hardly trained."""
    run_dir = tmp_path_factory.mktemp("classifier") / "run"
    options = ["--trainer.accelerator", "cpu", "--trainer.max_epochs", "2", "--quiet", "--run_dir", str(run_dir)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(run_dir.parent))
        cli.main(["fit", "-c", "configs/classifier/digits_features.yaml", *options])
        published = find_classifier("digits")
        assert sha256(published) in {sha256(run_dir / "checkpoints" / f"{name}.ckpt") for name in ("best", "last")}
        facts = json.loads(published.with_suffix(".json").read_text())
        assert facts["sha256"] == sha256(published)
        assert facts["image_shape"] == [1, 8, 8]
        assert facts["test_images"] == 360
        assert 0.5 < facts["accuracy"] <= 1  # chance: 0.1
    return published


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "lightning_models"


@pytest.fixture
def with_classifier(classifier, cache):
    """A cache that holds the classifier of digits."""
    facts = json.loads(classifier.with_suffix(".json").read_text())
    return publish(classifier, "digits", {"accuracy": facts["accuracy"]})


def rows(run_dir, column):
    with (run_dir / "metrics.csv").open() as file:
        return [float(row[column]) for row in csv.DictReader(file) if row.get(column)]


def weights(checkpoint):
    return torch.load(checkpoint, weights_only=True)["state_dict"]


def summary(run_dir):
    return json.loads((run_dir / "summary.json").read_text())


@pytest.fixture(scope="module")
def trained_once(classifier, tmp_path_factory):
    """A run of five epochs of a conditional GAN, measured after the second, the fourth and the last."""
    run_dir = tmp_path_factory.mktemp("trained") / "run"
    epochs = ["--trainer.max_epochs", "5", "--quality.every_n_epochs", "2", "--quality.num_samples_in_fit", "100"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(classifier.parents[2]))
        cli.main([*GENERATOR, *epochs, "--model.conditional", "true", "--run_dir", str(run_dir)])
    return run_dir


@pytest.fixture
def trained(trained_once, with_classifier):
    """That run, with its classifier in the cache."""
    return trained_once


def test_a_fit_is_measured_and_keeps_its_best_weights(trained):
    found = rows(trained, "val/fid")
    assert len(found) == 3
    assert rows(trained, "val/fid_digits") == found
    best = torch.load(trained / "checkpoints" / "best.ckpt", weights_only=True)
    assert best["global_step"] == (8, 16, 20)[found.index(min(found))]
    told = summary(trained)["quality"]
    assert (told["network"], told["n_real"], told["n_fake"], told["seed"]) == ("digits", 100, 100, 0)
    assert told["sha256"] == sha256(classifier_path("digits"))
    assert {f"val/{name}" for name in MEASURES} <= set(summary(trained)["metrics"])


def test_the_averaged_weights_are_measured(trained, monkeypatch):
    """The last row of the fit is what `validate` finds in last.ckpt with as many images, and not with G itself."""
    command = ["validate", "-c", str(trained / "config.yaml"), "--ckpt_path", str(trained / "checkpoints/last.ckpt")]
    command += ["--quality.num_samples", "100"]
    cli.main([*command, "--run_dir", str(trained / "averaged")])
    monkeypatch.setattr(GAN, "decode", decode_by_the_generator_itself)
    cli.main([*command, "--run_dir", str(trained / "itself")])
    averaged, itself = (summary(trained / name / "validate")["metrics"]["val/fid"] for name in ("averaged", "itself"))
    assert averaged == pytest.approx(rows(trained, "val/fid")[-1], rel=1e-4)
    assert itself != pytest.approx(averaged, rel=1e-5)


def decode_by_the_generator_itself(self, latent):
    averaged, self.generator_ema = self.generator_ema, None
    try:
        return decode(self, latent)
    finally:
        self.generator_ema = averaged


decode = GAN.decode


@pytest.mark.parametrize("command", ["validate", "test"])
def test_a_checkpoint_is_measured(trained, command, capsys):
    cli.main([command, "-c", str(trained / "config.yaml"), "--ckpt_path", str(trained / "checkpoints" / "best.ckpt")])
    printed = capsys.readouterr().out
    part, n_real, kind = {"validate": ("val", 1293, "training"), "test": ("test", 360, "test")}[command]
    assert f"360 samples against {n_real:,} {kind} images, seed 0" in printed
    assert "correct on test images (sha256" in printed
    assert "fid_digits" in printed
    found = summary(trained / command)
    assert {f"{part}/{name}" for name in MEASURES} <= set(found["metrics"])
    baseline, values = found["quality"]["baseline"], found["quality"]["values"]
    assert baseline["fid"] < values["fid"] / 2  # four batches learn nothing
    assert baseline["precision"] > 0.7
    assert baseline["class_kl"] < 0.05
    assert baseline["class_agreement"] > 0.5 > values["class_agreement"]
    assert baseline["fid"] < baseline["intra_fid"] < values["intra_fid"]


def test_training_is_bitwise_the_same_with_and_without(tmp_path, with_classifier):
    """Weights, optimizers, running averages and the random states of all generators."""
    found = []
    for name, options in (("without", ["--quality.network", "none"]), ("with", ["--quality.every_n_epochs", "1"])):
        run_dir = tmp_path / name
        noisy = ["--model.input_noise", "0.1", "--trainer.max_epochs", "3", "--quality.num_samples_in_fit", "50"]
        cli.main([*GENERATOR, *noisy, *options, "--run_dir", str(run_dir)])
        found.append(torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True))
        assert (run_dir / "checkpoints" / "best.ckpt").exists() == (name == "with")
    for part in ("state_dict", "optimizer_states", "loops"):
        assert_equal(found[0][part], found[1][part])
    assert_equal(found[0]["callbacks"]["RandomState"], found[1]["callbacks"]["RandomState"])


def assert_equal(one, other):
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_equal(one[key], other[key])
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other)
        for left, right in zip(one, other, strict=True):
            assert_equal(left, right)
    else:
        assert one == other


def test_without_a_classifier_a_network_learns_from_the_training_images(tmp_path, cache, capsys):
    cli.main([*GENERATOR, "--trainer.max_epochs", "1", "--run_dir", str(tmp_path / "run")])
    out, said = capsys.readouterr()
    assert "  fid_contrastive " in out.partition("run folder ")[0]
    assert "there is no classifier of digits images: measured with a small network that learns" in said
    assert "To train one: python cli.py fit -c configs/classifier/digits_features.yaml" in said
    assert said.count("learns from 1,293 training images") == 1
    assert (tmp_path / "run" / "checkpoints" / "best.ckpt").exists()
    told = summary(tmp_path / "run")["quality"]
    assert told["network"] == "contrastive"
    last = str(tmp_path / "run" / "checkpoints" / "last.ckpt")
    cli.main(["validate", "-c", str(tmp_path / "run" / "config.yaml"), "--ckpt_path", last])
    printed = capsys.readouterr()
    assert "learns from 1,293" not in printed.err  # it has learnt in the fit
    assert "fid_contrastive" in printed.out
    again = summary(tmp_path / "run" / "validate")
    assert again["quality"]["sha256"] == told["sha256"]
    expected = {name.replace("digits", "contrastive") for name in MEASURES - BY_CLASS - OF_CLASSES_ASKED_FOR}
    assert {f"val/{name}" for name in expected} <= set(again["metrics"])
    assert not {f"val/{name}" for name in BY_CLASS | OF_CLASSES_ASKED_FOR} & set(again["metrics"])


def test_a_validation_without_a_classifier_lets_a_network_learn(tmp_path, trained_once, cache, capsys):
    command = ["validate", "-c", str(trained_once / "config.yaml"), "--run_dir", str(tmp_path / "validated")]
    cli.main([*command, "--ckpt_path", str(trained_once / "checkpoints" / "last.ckpt")])
    printed = capsys.readouterr()
    assert "learns from 1,293 training images" in printed.err
    assert "fid_contrastive" in printed.out


def test_a_vae_is_measured(tmp_path, with_classifier):
    options = ["--trainer.accelerator", "cpu", "--trainer.max_epochs", "1", "--trainer.limit_train_batches", "4"]
    options += ["--quiet", "--quality.num_samples_in_fit", "100", "--run_dir", str(tmp_path / "run")]
    options += ["--trainer.log_every_n_steps", "2", "--trainer.check_val_every_n_epoch", "1"]
    cli.main(["fit", "-c", "configs/vae/digits.yaml", *options])
    assert len(rows(tmp_path / "run", "val/fid")) == 1
    assert "val/elbo" in summary(tmp_path / "run")["metrics"]
    assert (tmp_path / "run" / "checkpoints" / "best.ckpt").exists()  # by the ELBO


@pytest.mark.full
def test_a_diverged_generator_is_named_and_the_rest_goes_on(tmp_path, with_classifier, capsys, monkeypatch):
    monkeypatch.setattr(GAN, "decode", lambda self, latent: torch.full((len(latent), *self.image_shape), torch.nan))
    options = ["--quality.num_samples_in_fit", "100", "--samples.grid", "1", "--samples.interpolation_steps", "0"]
    cli.main([*GENERATOR, *options, "--trainer.max_epochs", "1", "--run_dir", str(tmp_path / "run")])
    assert "100 of 100 generated images hold NaN or infinite pixels: the generator has diverged" in (
        capsys.readouterr().err
    )
    assert not (tmp_path / "run" / "checkpoints" / "best.ckpt").exists()
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").exists()


@pytest.mark.full
def test_too_few_images_leave_the_other_measures(tmp_path, with_classifier, capsys):
    options = ["--quality.num_samples_in_fit", "5", "--trainer.max_epochs", "1", "--run_dir", str(tmp_path / "run")]
    cli.main([*GENERATOR, *options])
    said = capsys.readouterr().err
    assert "density: the 5 nearest neighbours of an image need at least 6 real images, found 5" in said
    assert "classifier_score: the classifier score needs at least 20 generated images, found 5" in said
    assert {"val/fid", "val/kid", "val/precision", "val/modes"} <= set(summary(tmp_path / "run")["metrics"])


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ("no/such.ckpt", "there is no classifier no/such.ckpt: give the path of a classifier's"),
        ("inception", "Inception features need the package torch-fidelity: pip install"),
        (
            "classifier",
            "there is no classifier of digits images: To train one: python cli.py fit -c configs/",
        ),
    ],
)
def test_networks_that_are_missing_are_named(tmp_path, cache, network, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main([*GENERATOR, "--quality.network", network, "--run_dir", str(tmp_path / "run")])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_classifier_of_other_images_is_refused(tmp_path, classifier, with_classifier, capsys):
    other_size = [*GENERATOR, "--data.image_size", "16", "--run_dir", str(tmp_path / "run")]
    with pytest.raises(SystemExit) as stopped:
        cli.main([*other_size, "--quality.network", str(classifier)])
    assert stopped.value.code == 2
    message = "takes images of 1 x 8 x 8, but these are 1 x 16 x 16 (channels x height x width)"
    assert message in capsys.readouterr().err
    cli.main([*other_size, "--trainer.max_epochs", "1"])  # found by itself it is left alone
    assert message in capsys.readouterr().err


def test_a_classifier_that_was_changed_is_refused(with_classifier, tmp_path, capsys):
    with_classifier.write_bytes(with_classifier.read_bytes()[:-1] + b"?")
    with pytest.raises(SystemExit, match=r"^2$"):
        cli.main([*GENERATOR, "--quality.network", "judge", "--run_dir", str(tmp_path / "run")])
    assert "digits.ckpt is not the classifier that digits.json describes" in capsys.readouterr().err


def test_a_generator_is_no_classifier(trained):
    with pytest.raises(ValueError, match="holds a GAN: expected an ImageClassifier"):
        load_classifier(trained / "checkpoints" / "last.ckpt")


@pytest.mark.slow
def test_two_processes_measure_what_one_measures(trained, tmp_path):
    """301 samples: the processes have unequal shares."""
    found = []
    for devices in ("1", "2"):
        run_dir = tmp_path / f"processes-{devices}"
        command = ["test", "-c", str(trained / "config.yaml"), "--run_dir", str(run_dir)]
        command += ["--ckpt_path", str(trained / "checkpoints" / "last.ckpt"), "--trainer.devices", devices]
        command += ["--quality.num_samples", "301"]
        subprocess.run([sys.executable, "cli.py", *command], check=True, timeout=180, capture_output=True)
        found.append(summary(run_dir / "test")["quality"])
    one, two = found
    assert (two["n_real"], two["n_fake"]) == (one["n_real"], one["n_fake"]) == (301, 301)
    assert set(two["values"]) == set(one["values"])
    random_subsets = {"kid", "kid_std", "classifier_score", "classifier_score_std"}  # are of another order of images
    for kind in ("values", "baseline"):
        for name in set(one[kind]) - random_subsets:
            assert two[kind][name] == pytest.approx(one[kind][name], rel=1e-2, abs=1e-4), (kind, name)
