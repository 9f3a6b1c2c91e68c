"""Evidence against scipy's own tests and closed forms, and verdicts from it."""

import math

import pytest
from scipy import stats

from lab.claims.statistics import (
    NONE,
    Evidence,
    all_of,
    compare,
    equivalent,
    holm,
    more_often_than_not,
    one_sample,
    trend,
)
from lab.claims.verdicts import LATER, PLANNED, Look, decide, seeds_needed

FIRST, SECOND = {0: 0.91, 1: 0.95, 2: 0.93, 3: 0.96}, {0: 0.90, 1: 0.93, 2: 0.91, 3: 0.95}


def by_seed(*values: float) -> dict[int, float]:
    return dict(enumerate(values))


def test_one_sample_is_students_t() -> None:
    found = one_sample([1.0, 2.0, 4.0])
    theirs = stats.ttest_1samp([1.0, 2.0, 4.0], 0.0, alternative="greater")
    assert found.p_for == pytest.approx(theirs.pvalue)
    assert found.p_against == pytest.approx(1 - theirs.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(theirs_interval([1.0, 2.0, 4.0])))


def theirs_interval(values: list[float]) -> tuple[float, float]:
    interval = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    return interval.low, interval.high


def test_settings_without_shared_seeds_are_compared_by_welch() -> None:
    other = {seed + 10: value for seed, value in SECOND.items()}
    found = compare(FIRST, other)
    theirs = stats.ttest_ind(list(FIRST.values()), list(other.values()), equal_var=False)
    assert found.p == pytest.approx(theirs.pvalue)
    interval = theirs.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_pairs_count_where_the_runs_of_a_seed_resemble_each_other() -> None:
    found = compare(FIRST, SECOND)
    theirs = stats.ttest_rel(list(FIRST.values()), list(SECOND.values()))
    assert found.p == pytest.approx(2 * theirs.pvalue)  # the better one of two tests
    assert found.effect == pytest.approx(0.015)


def test_the_margin_moves_the_border() -> None:
    assert compare(by_seed(5, 6, 7), by_seed(1, 2, 3), margin=4.0).effect == pytest.approx(0.0)
    assert compare(by_seed(5, 6, 7), by_seed(1, 2, 3), margin=4.0).p == pytest.approx(1.0)


def test_the_same_outcomes_in_all_runs_say_nothing_unless_their_resolution_is_known() -> None:
    same, other = by_seed(9, 9, 9, 9), by_seed(10, 10, 10, 10)
    assert compare(other, same).p == 1.0
    found = compare(other, same, resolution=1.0)
    assert found.low < 1 < found.high  # rounding could hide that much
    assert found.p < 0.01


def test_what_rounding_could_hide_is_added_to_the_variance_of_each_test() -> None:
    """Uniform within a step of 1: a variance of 1 / 12 for an outcome, and of twice that for a difference."""
    (one, other), n = (by_seed(9, 9, 9, 9), {seed + 10: 8.0 for seed in range(4)}), 4
    alone = one_sample(list(one.values()), resolution=1.0)
    assert alone.p_for == pytest.approx(stats.t.sf(9 / math.sqrt(1 / 12 / n), n - 1))
    apart = compare(one, other, resolution=1.0)
    assert apart.p_for == pytest.approx(stats.t.sf(1 / math.sqrt(2 / 12 / n), 2 * (n - 1)))
    shifted = {seed: 10.0 * seed for seed in range(n)}, {seed: 10.0 * seed - 1 for seed in range(n)}
    paired = compare(*shifted, resolution=1.0)
    assert paired.p_for == pytest.approx(2 * stats.t.sf(1 / math.sqrt(2 / 12 / n), n - 1))


@pytest.mark.parametrize(
    ("difference", "expected"), [(0.0, "reproduced"), (5.0, "contradicted"), (1.0, "undecided"), (-5.0, "contradicted")]
)
def test_equivalence_needs_the_whole_interval_within_the_margin(difference: float, expected: str) -> None:
    first = by_seed(0.1, -0.1, 0.2, -0.2, 0.0)
    second = {seed: value + difference for seed, value in by_seed(0.15, 0.1, -0.2, 0.05, -0.1).items()}
    found = equivalent(first, second, margin=1.0)
    assert decide([Look([found], [5])])[0].verdict == expected
    assert found.effect == pytest.approx(1.0 - abs(difference), abs=0.05)
    assert found.low < found.effect < found.high


def test_a_trend_is_pages_test() -> None:
    rows = [[1.0, 2.0, 3.0], [1.5, 2.5, 2.0], [0.0, 1.0, 5.0]]
    found = trend(rows)
    assert found.p_for == pytest.approx(stats.page_trend_test(rows).pvalue)
    assert found.effect == pytest.approx((1 + 0.5 + 1) / 3)
    falling = trend([row[::-1] for row in rows])
    assert falling.p_against == pytest.approx(found.p_for)
    assert falling.effect == pytest.approx(-found.effect)


def test_a_trend_of_equal_outcomes_is_none() -> None:
    assert trend([[1.0, 1.0, 1.0]] * 4).p == 1.0


def test_an_event_is_counted_against_half_of_the_runs() -> None:
    found = more_often_than_not([True] * 8)
    assert found.effect == 0.5
    assert found.p_for == pytest.approx(0.5**8)
    assert more_often_than_not([False] * 8).p_against == pytest.approx(0.5**8)
    assert more_often_than_not([True, False]).p == 1.0


def test_several_things_hold_only_if_each_holds_and_one_that_fails_is_corrected() -> None:
    strong, weak, failed = (
        Evidence(e, 0, 0, f, a) for e, f, a in [(2, 0.001, 0.999), (1, 0.2, 0.8), (-3, 0.998, 0.002)]
    )
    assert all_of([strong, weak]).p_for == 0.2
    assert all_of([strong, weak]).effect == 1
    together = all_of([strong, weak, failed])
    assert (together.effect, together.p_against) == (-3, pytest.approx(0.006))


def test_holm_corrects_the_smallest_most_and_keeps_the_order() -> None:
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([]) == []


def test_fewer_than_three_seeds_decide_nothing() -> None:
    certain = Evidence(1.0, 0.9, 1.1, 1e-12, 1.0)
    assert decide([Look([certain], [2])])[0].verdict == "undecided"
    assert decide([Look([certain], [3])])[0].verdict == "reproduced"


def test_evidence_from_one_outcome_is_none() -> None:
    assert one_sample([3.0]) == NONE
    assert compare({0: 1.0}, {0: 2.0, 1: 3.0}) == NONE
    assert trend([[1.0, 2.0, 3.0]]) == NONE
    assert more_often_than_not([]) == NONE


def test_a_later_look_is_judged_more_strictly_and_a_verdict_stays() -> None:
    def evidence(p: float) -> Evidence:
        return Evidence(1.0, 0.0, 2.0, p / 2, 1 - p / 2)

    between = (PLANNED + LATER) / 2
    assert decide([Look([evidence(between)], [3])])[0].verdict == "reproduced"
    later = decide([Look([evidence(0.5)], [3]), Look([evidence(between)], [5])])[0]
    assert (later.verdict, later.look) == ("undecided", 1)
    against = Evidence(-1.0, -2.0, 0.0, 1.0, 1e-9)
    kept = decide([Look([evidence(between)], [3]), Look([against], [5])])[0]
    assert (kept.verdict, kept.look) == ("reproduced", 0)


def test_a_claim_is_judged_beside_the_others_of_its_study() -> None:
    found = Evidence(1.0, 0.0, 2.0, PLANNED / 4, 1.0)  # p is half of the level
    assert decide([Look([found], [3])])[0].verdict == "reproduced"
    beside = decide([Look([found, NONE, NONE], [3, 3, 3])])[0]
    assert (beside.verdict, beside.p) == ("undecided", pytest.approx(1.5 * PLANNED))


def test_the_predicted_number_of_seeds_decides_and_one_less_does_not() -> None:
    # With the mean and the deviation as they look, Welch's statistic is effect / sqrt(2 / n) at 2 (n - 1) degrees.
    predicted = seeds_needed(lambda both: compare(both[0], both[1]), [by_seed(1, 0, 2), by_seed(0, -1, 1)], 1)
    assert predicted is not None
    p = [4 * stats.t.sf(1 / math.sqrt(2 / n), 2 * (n - 1)) for n in (predicted - 3, predicted + 3)]
    assert p[0] > LATER > p[1]


def test_no_number_of_seeds_is_predicted_where_there_is_no_effect() -> None:
    same = by_seed(1, 2, 3)
    assert seeds_needed(lambda both: compare(both[0], both[1]), [same, by_seed(3, 1, 2)], 1) is None
    assert seeds_needed(lambda both: compare(both[0], both[1]), [{0: 1.0}, {0: 2.0}], 1) is None
