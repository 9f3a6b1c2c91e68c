"""Which direction of a metric is better: one list, which metrics, checkpoints, studies and pages take it from."""

import subprocess
import sys

import pytest

from lab.errors import UserError
from lab.training.callbacks import checkpoints
from lightning_models.gan import GAN
from lightning_models.image_classifier import ImageClassifier
from lightning_models.language_model import CharLanguageModel
from lightning_models.metrics.active_units import ActiveUnits
from lightning_models.metrics.catalogue import CATALOGUE, MEASURES, direction_of
from lightning_models.metrics.classes import ClassCoverage
from lightning_models.metrics.classification import AccuracyByLength
from lightning_models.metrics.diversity import Diversity
from lightning_models.metrics.neighbours import DensityCoverage, Memorization, PrecisionRecall
from lightning_models.metrics.quality import ClassifierScore, FrechetDistance, KernelDistance
from lightning_models.vae import VAE


@pytest.mark.parametrize(
    ("metric", "direction"),
    [
        *(
            (f"val/{name}", "minimize")
            for name in ("fid", "kid", "loss", "cross_entropy", "reconstruction", "class_kl")
        ),
        *(
            (f"val/{name}", "minimize")
            for name in ("nats_per_char", "bits_per_char", "perplexity", "fid_mnist", "kid_std")
        ),
        *((f"test/{name}", "maximize") for name in ("accuracy", "elbo", "precision", "recall", "coverage", "modes")),
        *((f"test/{name}", "maximize") for name in ("balanced_accuracy", "macro_f1", "top3_accuracy", "accuracy_7")),
        ("val/importance_weighted_bound", "maximize"),
        ("train/batch_loss", "minimize"),
        ("my_error", "minimize"),
        *((name, None) for name in ("train/d_loss", "val/g_loss", "d_accuracy_real", "val/kl", "val/active_units")),
        *(
            (name, None)
            for name in ("val/diversity", "val/memorization", "train/learning_rate", "val/lossy", "anything")
        ),
    ],
)
def test_direction(metric, direction):
    assert direction_of(metric) == direction


@pytest.mark.parametrize(
    ("metric", "higher_is_better"),
    [
        *((kind, False) for kind in (FrechetDistance, KernelDistance)),
        *(
            (kind, True)
            for kind in (PrecisionRecall, DensityCoverage, ClassCoverage, ClassifierScore, AccuracyByLength)
        ),
        *((kind, None) for kind in (Diversity, Memorization, ActiveUnits)),
    ],
)
def test_the_classes_say_it_too(metric, higher_is_better):
    assert metric.higher_is_better is higher_is_better


@pytest.mark.parametrize(
    ("family", "mode"), [(GAN, "min"), (VAE, "max"), (ImageClassifier, "max"), (CharLanguageModel, "min")]
)
def test_the_best_checkpoint_of_a_family_is_by_its_metric(tmp_path, family, mode):
    best, last = checkpoints(tmp_path, family.monitor)
    assert (best.monitor, best.mode) == (family.monitor, mode)
    assert last.monitor is None


def test_a_monitor_without_a_direction_is_refused(tmp_path):
    with pytest.raises(UserError, match="the model's monitor is val/g_loss, of which neither direction is known"):
        checkpoints(tmp_path, "val/g_loss")
    assert [kept.filename for kept in checkpoints(tmp_path, None)] == ["last"]


def test_goals_agree_with_directions():
    goals = {"low": False, "high": True, "all": True, "neither": None}
    for name, measure in CATALOGUE.items():
        assert goals.get(measure.goal, measure.higher_is_better) is measure.higher_is_better, name
    assert list(MEASURES)[:2] == ["fid", "kid"]


def test_it_imports_no_torch():
    code = "import sys, lightning_models.metrics.catalogue; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
