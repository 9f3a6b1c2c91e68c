"""Verdicts on simulated outcomes, of which the truth is known."""

import numpy as np
import pytest

from benchmarks import verdicts

REPEATS = 1000
LARGEST = 0.05 + 3 * (0.05 * 0.95 / REPEATS) ** 0.5  # what 5 % may look like in so many repeats


@pytest.mark.slow
@pytest.mark.parametrize(
    "study",
    [
        verdicts.equal_settings,
        verdicts.other_spread,
        verdicts.other_kinds,
        verdicts.families,
        verdicts.repeated_looks,
    ],
)
def test_fewer_than_one_verdict_in_twenty_is_wrong(study: verdicts.Study) -> None:
    rates = dict(study(REPEATS, np.random.default_rng(1)))
    assert {name: rate for name, rate in rates.items() if rate > LARGEST} == {}
    assert all(rate == 0 for name, rate in rates.items() if "2 seeds" in name)


@pytest.mark.slow
def test_a_clear_effect_is_decided_and_never_the_wrong_way() -> None:
    rates = {name: (wrong, right) for name, wrong, right in verdicts.different_settings(400, np.random.default_rng(1))}
    assert max(wrong for wrong, _ in rates.values()) < 0.02
    assert rates["better by 6, normal, 3 seeds"][1] > 0.8
    assert rates["better by 3, normal, 5 seeds"][1] > 0.8


@pytest.mark.slow
def test_the_predicted_number_of_seeds_is_right_within_a_factor_of_two() -> None:
    for name, real, predicted, _ in verdicts.predictions(2000, np.random.default_rng(1)):
        assert real / 2 <= predicted <= 2 * real, name
