"""How many batches a run would take and when it would be ended, before it is run."""

import math

import pytest

from lab.training.plan import Plan

RUN = ["--model", "ImageClassifier", "--data", "Digits", "--data.batch_size", "100"]  # 13 batches an epoch


@pytest.mark.parametrize(
    ("options", "batches"),
    [
        (["--trainer.max_epochs=3"], 3 * 13),
        (["--trainer.max_epochs=3", "--trainer.limit_train_batches=5"], 3 * 5),
        (["--trainer.max_epochs=3", "--trainer.limit_train_batches=1"], 3),
        (["--trainer.max_epochs=3", "--trainer.limit_train_batches=1.0"], 3 * 13),
        (["--trainer.max_epochs=3", "--trainer.limit_train_batches=0.5"], 3 * 6),
        (["--trainer.max_epochs=3", "--trainer.limit_train_batches=99"], 3 * 13),
        (["--trainer.max_epochs=3", "--trainer.max_steps=20"], 20),
        (["--trainer.max_steps=20"], 20),
        ([], 20 * 13),  # what a run takes where nothing ends it
        (["--trainer.max_time=00:00:01:00"], math.inf),
    ],
)
def test_batches(in_tmp_path, options, batches):
    assert Plan([*RUN, *options]).batches() == batches


def test_seconds(in_tmp_path):
    assert Plan([*RUN, "--trainer.max_time=00:01:01:05"]).seconds() == 3665
    assert Plan(RUN).seconds() == math.inf


@pytest.mark.parametrize(
    ("options", "metric", "reason"),
    [
        ([], "val/fid", "there is no judge of digits images. To train one: python cli.py fit -c configs/classifier/"),
        (["--quality.network=none"], "val/modes", "quality.network is none"),
        (["--quality.network=random", "--quality.every_n_epochs=0"], "val/kid", "quality.every_n_epochs is 0"),
        (["--quality.network=random"], "val/fid", ""),
        ([], "train/d_loss", ""),
    ],
)
def test_why_samples_would_not_be_measured(in_tmp_path, options, metric, reason):
    found = Plan(["--model", "GAN", "--data", "Digits", *options]).why_unmeasured(metric)
    assert reason in found
    assert bool(found) == bool(reason)


def test_a_classifier_has_a_precision_of_its_own(in_tmp_path):
    assert Plan(RUN).why_unmeasured("val/precision") == ""
