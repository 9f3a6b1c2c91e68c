"""Models learn on real or generated data what chance cannot do."""

import json

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

import cli
from lab.training.checkpoints import load_model


@pytest.mark.slow
def test_the_demo_makes_digits_of_all_kinds(tmp_path):
    run_dir = tmp_path / "run"
    cli.main(
        [
            *("fit", "-c", "configs/gan/digits.yaml", "--quiet", "--run_dir", str(run_dir)),
            *("--trainer.accelerator", "cpu", "--trainer.max_epochs", "60", "--samples.every_n_epochs", "0"),
        ]
    )
    made = load_model(str(run_dir / "checkpoints" / "last.ckpt")).sample(500, seed=1).flatten(1).numpy() * 16
    digits = load_digits()
    real, held_out = digits.data[::2], digits.data[1::2]
    judge = KNeighborsClassifier(3).fit(real, digits.target[::2])

    classes = np.bincount(judge.predict(made), minlength=10) / len(made)
    assert (classes > 0.02).all(), classes  # each of the ten at a fifth of its share or more

    def distance(images):
        return np.median(judge.kneighbors(images, n_neighbors=1)[0])

    noise = np.random.default_rng(0).permuted(held_out, axis=1)  # the right brightness, nothing else
    assert distance(made) < 0.5 * (distance(held_out) + distance(noise))


@pytest.mark.slow
@pytest.mark.parametrize("conditioning", ["embedding", "batch_norm"])
def test_a_conditional_gan_makes_different_digits_of_the_class_asked_for(tmp_path, conditioning):
    cli.main(
        [
            *("fit", "-c", "configs/gan/digits.yaml", "--model.conditional", "true", "--quiet"),
            *("--model.generator.conditioning", conditioning, "--run_dir", str(tmp_path)),
            *("--trainer.accelerator", "cpu", "--samples.every_n_epochs", "0"),
        ]
    )
    model = load_model(str(tmp_path / "checkpoints" / "last.ckpt"))
    asked = torch.arange(10).repeat_interleave(50)
    made = model.sample(500, seed=1, labels=asked).flatten(1).numpy() * 16
    digits = load_digits()
    classifier = KNeighborsClassifier(3).fit(digits.data, digits.target)
    assert (classifier.predict(made) == asked.numpy()).mean() > 0.8

    def spread(images, labels):  # root mean square distance to the mean of the class
        return np.mean([images[labels == digit].var(axis=0).sum() ** 0.5 for digit in range(10)])

    assert spread(made, asked.numpy()) > 0.6 * spread(digits.data, digits.target)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "bound"),
    [
        (["-c", "configs/palindromes/lstm.yaml", "--data.length", "6", "--trainer.max_steps", "750"], 0.95),
        (["-c", "configs/palindromes/rnn.yaml", "--data.length", "6", "--trainer.max_steps", "750"], 0.95),
        (["-c", "configs/names/surnames.yaml", "--trainer.max_epochs", "3"], 0.6),  # the largest class has 0.17
    ],
    ids=["lstm", "rnn", "surnames"],
)
def test_recurrent_networks_remember_and_tell_names_apart(tmp_path, options, bound):
    cli.main(["fit", *options, "--quiet", "--run_dir", str(tmp_path / "run"), "--trainer.accelerator", "cpu"])
    metrics = json.loads((tmp_path / "run" / "summary.json").read_text())["metrics"]
    assert metrics["val/accuracy"] > bound
