"""The demo learns digits: a classifier of real digits recognises what it makes, of all kinds."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

import cli
from commands.checkpoints import load_model


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
