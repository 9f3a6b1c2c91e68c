"""A study that was run, for the tests of the report page; trials that take no time, for those of the queue."""

import functools

import pytest
from pytorch_lightning import Trainer

from lab.studies import engine
from lab.studies.trial import MissingMetricError
from tests.lab.study_folders import write_study


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    """Latent sizes 10, 20, 50 with two seeds; the second seed of 10 failed, that of 50 was pruned."""
    return write_study(tmp_path_factory.mktemp("study"))


@pytest.fixture
def fake(monkeypatch):
    """Trials that only say how wide their network is."""
    taken = []

    def run_trial(study, run_dir, setting, seed, callbacks):
        taken.append((setting, seed))
        width = setting["model.network.hidden_dims"][0]
        if width == 13:
            raise OSError(28, "No space left on device")
        if width == 14:
            raise MissingMetricError("the run logged no finite val/accuracy")
        run_dir.mkdir(parents=True)
        return {"metrics": {"val/accuracy": width / 100}, "parameters": width, "seconds": 1.0, "alarms": ""}

    monkeypatch.setattr(engine, "run_trial", run_trial)
    return taken


@pytest.fixture
def calls(monkeypatch):
    """Nothing is trained or measured: what the Trainer's fit, validate, test and predict were called with.

    A list of (name, trainer, keyword arguments).
    """
    calls = []

    def recorded(name):
        @functools.wraps(getattr(Trainer, name))
        def call(trainer, *args, **options):
            calls.append((name, trainer, options))

        return call

    for name in ("fit", "validate", "test", "predict"):
        monkeypatch.setattr(Trainer, name, recorded(name))
    return calls
