"""Every shipped study runs, a few batches of one trial, on stand-in data; all its settings fit its base config."""

from pathlib import Path

import pytest

from lab.studies.start import check_options
from lab.studies.study_file import read_study
from lab.studies.trial import run_trial
from tests.few_batches import few_batches

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[3]
STUDIES = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "configs" / "studies").rglob("*.yaml"))
NEED_A_CLASSIFIER = {"val/modes"}  # the random convolutions that take its place know no classes


def shortened(path, data_root, quick):
    """The study, with the options that make its trials short."""
    study = read_study(path, quick)
    assert study.planned
    options = few_batches(study.base, data_root)
    given = dict(zip(options[::2], options[1::2], strict=True))
    short = {name.removeprefix("--"): value for name, value in given.items()}
    short |= {"trainer.precision": "32-true", "quality.network": "random", "quality.num_samples": 20}
    short |= {"quality.num_samples_in_fit": 20}
    short |= {"trainer.limit_train_batches": 5}  # of which a WGAN's generator learns from one
    if "trainer.val_check_interval" in study.overrides:
        short |= {"trainer.val_check_interval": 5}
    object.__setattr__(study, "overrides", {**study.overrides, **short})
    return study


@pytest.mark.parametrize("quick", [False, True], ids=["full", "quick"])
@pytest.mark.parametrize("path", STUDIES)
def test_study(path, quick, data_root, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    study = shortened(ROOT / path, data_root, quick)
    check_options(study)
    if quick:
        setting, seed = study.planned[-1]
        short = {name: value for name, value in setting.items() if not name.startswith("trainer.")}
        found = run_trial(study, tmp_path / "trials" / "run", short, seed, [])
        expected = set(study.record) - NEED_A_CLASSIFIER
        assert set(found["metrics"]) == expected  # also a metric that no run logs would be found here
