"""What a study's file says of sampling, pruning and the best trial is what Optuna is given."""

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from lab.studies import engine
from tests.lab.studies.small_studies import WIDTHS, opened, write


@pytest.mark.parametrize(
    ("option", "classes"),
    [
        ("sampler", {"tpe": "TPESampler", "random": "RandomSampler"}),
        ("pruner", {"none": "NopPruner", "median": "MedianPruner", "asha": "SuccessiveHalvingPruner"}),
    ],
)
def test_optuna_samples_and_prunes_as_the_file_says(tmp_path, option, classes):
    search = {"grid": None, "search": {"model.l2": {"low": 0.0, "high": 1.0}}}
    for value, name in classes.items():
        _, queue = opened(write(tmp_path / f"{value}.yaml", **search, **{option: value}), tmp_path / value)
        assert type(getattr(queue.optuna_study, option)).__name__ == name


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_optuna_looks_for_the_best_in_the_direction_of_the_study(tmp_path, direction):
    _, queue = opened(write(tmp_path / "s.yaml", direction=direction), tmp_path / "study")
    assert queue.optuna_study.direction.name.lower() == direction


def test_a_search_draws_from_the_distributions_of_its_file(tmp_path):
    ranges = {
        "model.l1": {"low": "1e-4", "high": 1e-1, "log": True},
        "model.l2": {"low": 0.0, "high": 1.0},
        "data.batch_size": {"low": 8, "high": 64, "int": True, "log": True},
        "trainer.max_epochs": {"low": 1, "high": 3, "int": True},
        WIDTHS: {"choices": [[4], [8, 8]]},
    }
    study, queue = opened(write(tmp_path / "s.yaml", grid=None, search=ranges), tmp_path / "study")
    _, trial = queue.take()
    setting, seed = engine.draw(study, 0, trial)
    assert seed == 0
    assert trial.distributions == {
        "model.l1": FloatDistribution(1e-4, 1e-1, log=True),
        "model.l2": FloatDistribution(0.0, 1.0),
        "data.batch_size": IntDistribution(8, 64, log=True),
        "trainer.max_epochs": IntDistribution(1, 3),
        WIDTHS: CategoricalDistribution(["[4]", "[8, 8]"]),
    }
    assert setting[WIDTHS] in ([4], [8, 8])
    assert {name: value for name, value in setting.items() if name != WIDTHS} == {
        name: value for name, value in trial.params.items() if name != WIDTHS
    }
