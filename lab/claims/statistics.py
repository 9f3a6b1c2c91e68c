"""Evidence from few seeds: an effect with its interval, and how probable it would be if the claim were not so.

Every test has two one-sided probabilities, one for the claim and one for its opposite, so that a claim can be
contradicted as well as reproduced. `lab.claims.verdicts` turns them into verdicts.

Two settings are compared by Welch's t-test and, where they share seeds, by the paired t-test, each at half the level,
and the better one counts. With three seeds pairing costs half of the degrees of freedom and gains nothing unless the
runs of a seed resemble each other, and which is the case is not known beforehand. A permutation test cannot fall
below 0.1 with three seeds. Outcomes with heavy tails make these tests more cautious, not less; `benchmarks.verdicts`
measures that.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

LEVEL = 0.95  # of the intervals
Samples = Mapping[int, float]  # the outcome of each seed


@dataclass(frozen=True)
class Evidence:
    """What seeds say.

    Args:
        effect: above 0 if it is as claimed, in the unit of the metric (for a trend a rank correlation, for an event
            the share of the runs minus a half); for several comparisons the weakest one.
        low, high: the 95 % interval of the effect, for this claim alone; infinite for fewer than two seeds.
        p_for: the probability of evidence this strong for the claim if the effect were 0 or of the other sign.
        p_against: the same for the claim's opposite.
    """

    effect: float
    low: float
    high: float
    p_for: float
    p_against: float

    @property
    def p(self) -> float:
        """Two-sided."""
        return min(1.0, 2 * min(self.p_for, self.p_against))


NONE = Evidence(math.nan, -math.inf, math.inf, 1.0, 1.0)


def one_sample(values: Sequence[float], resolution: float = 0.0) -> Evidence:
    """Whether the mean is above 0: Student's t.

    Args:
        values: an outcome a seed.
        resolution: the smallest step between outcomes. Its rounding error is added to the variance, so that outcomes
            which are the same by rounding do not seem to be exact.
    """
    if len(values) < 2:
        return NONE
    sample = np.asarray(values, dtype=np.float64)
    variance = float(sample.var(ddof=1)) + resolution**2 / 12
    return from_t(float(sample.mean()), math.sqrt(variance / len(values)), len(values) - 1, 1)


def compare(first: Samples, second: Samples, resolution: float = 0.0, margin: float = 0.0) -> Evidence:
    """Whether the mean of `first` is above that of `second` by more than `margin`.

    The effect is the difference of the means minus the margin.
    """
    if len(first) < 2 or len(second) < 2:
        return NONE
    tests = [welch(list(first.values()), list(second.values()), resolution, margin)]
    shared = [seed for seed in first if seed in second]
    if len(shared) == len(first) == len(second):
        differences = [first[seed] - second[seed] for seed in shared]
        sample = np.asarray(differences)
        variance = float(sample.var(ddof=1)) + resolution**2 / 6
        error = math.sqrt(variance / len(shared))
        tests.append(from_t(float(sample.mean()) - margin, error, len(shared) - 1, 2))
        tests[0] = welch(list(first.values()), list(second.values()), resolution, margin, 2)
    narrowest = min(tests, key=lambda test: test.high - test.low)
    return Evidence(
        narrowest.effect,
        narrowest.low,
        narrowest.high,
        min(test.p_for for test in tests),
        min(test.p_against for test in tests),
    )


def welch(
    first: Sequence[float], second: Sequence[float], resolution: float, margin: float, tests: int = 1
) -> Evidence:
    """Welch's t-test, with the degrees of freedom of Welch and Satterthwaite, as one of `tests` tests."""
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    of_a = (float(a.var(ddof=1)) + resolution**2 / 12) / len(a)
    of_b = (float(b.var(ddof=1)) + resolution**2 / 12) / len(b)
    total = of_a + of_b
    below = of_a**2 / (len(a) - 1) + of_b**2 / (len(b) - 1)
    freedom = total**2 / below if below > 0 else float(len(a) + len(b) - 2)
    return from_t(float(a.mean() - b.mean()) - margin, math.sqrt(total), freedom, tests)


def from_t(effect: float, error: float, freedom: float, tests: int) -> Evidence:
    """Evidence of an effect with its standard error, as the best of `tests` tests (Bonferroni).

    Outcomes without any spread and without a known resolution say nothing.
    """
    if not math.isfinite(effect):
        return NONE
    if error == 0:
        return Evidence(effect, -math.inf, math.inf, 1.0, 1.0)
    from scipy import special  # late, as scipy.stats below: most commands read claims and test none

    half = float(special.stdtrit(freedom, 1 - (1 - LEVEL) / 2 / tests)) * error
    against, above = (float(special.stdtr(freedom, sign * effect / error)) for sign in (1, -1))
    return Evidence(effect, effect - half, effect + half, min(1.0, tests * above), min(1.0, tests * against))


def equivalent(first: Samples, second: Samples, margin: float, resolution: float = 0.0) -> Evidence:
    """Whether two means differ by less than `margin`: two one-sided tests (Schuirmann 1987).

    The effect is the margin minus the distance of the means.
    """
    over = compare(first, second, resolution, margin)  # above 0: the first is larger by more than the margin
    under = compare(second, first, resolution, margin)
    nearer = over if over.effect >= under.effect else under
    if not math.isfinite(nearer.effect):
        return NONE
    return Evidence(
        -nearer.effect,
        -max(over.high, under.high),
        -max(over.low, under.low),
        max(over.p_against, under.p_against),
        min(1.0, 2 * min(over.p_for, under.p_for)),
    )


def trend(rows: Sequence[Sequence[float]]) -> Evidence:
    """Whether outcomes rise along a row, by Page's test of the ranks within each row.

    Args:
        rows: one a seed, each with the outcomes of the settings in their order, three or more.

    Returns:
        The effect is the mean rank correlation (Spearman) of the seeds.
    """
    if len(rows) < 2:
        return NONE
    from scipy import stats

    ranks = np.apply_along_axis(stats.rankdata, 1, np.asarray(rows, dtype=np.float64))
    size = ranks.shape[1]
    order = np.arange(1, size + 1)
    method = "exact" if size <= 6 and len(rows) <= 12 and float(ranks.max(initial=0)) == size else "asymptotic"
    p_for = float(stats.page_trend_test(ranks, ranked=True, predicted_ranks=order, method=method).pvalue)
    p_against = float(stats.page_trend_test(ranks, ranked=True, predicted_ranks=order[::-1], method=method).pvalue)
    centred = ranks - ranks.mean(axis=1, keepdims=True)
    steps = order - order.mean()
    norm = np.sqrt((centred**2).sum(axis=1) * (steps**2).sum())
    correlations = np.divide(centred @ steps, norm, out=np.zeros(len(norm)), where=norm > 0)
    spread = one_sample([float(value) for value in correlations], resolution=12 / (size**3 - size))
    low, high = max(-1.0, spread.low), min(1.0, spread.high)
    return Evidence(spread.effect, low, high, p_for, p_against)


def more_often_than_not(happened: Sequence[bool]) -> Evidence:
    """Whether an event happens in more than half of all runs: the exact binomial test, Clopper and Pearson's interval.

    The effect is the share of the runs minus a half.
    """
    if not happened:
        return NONE
    from scipy import stats

    count, total = sum(happened), len(happened)
    p_for = float(stats.binomtest(count, total, 0.5, "greater").pvalue)
    p_against = float(stats.binomtest(count, total, 0.5, "less").pvalue)
    interval = stats.binomtest(count, total).proportion_ci(LEVEL)
    return Evidence(count / total - 0.5, float(interval.low) - 0.5, float(interval.high) - 0.5, p_for, p_against)


def all_of(parts: Sequence[Evidence]) -> Evidence:
    """Evidence that several things hold together.

    The claim needs each of them, so the weakest one counts and needs no correction; one that fails contradicts it, and
    they are corrected for their number.
    """
    weakest = max(parts, key=lambda part: (part.p_for, -part.effect))
    worst = min(part.p_against for part in parts)
    shown = min(parts, key=lambda part: part.p_against) if worst * len(parts) < weakest.p_for else weakest
    return Evidence(shown.effect, shown.low, shown.high, weakest.p_for, min(1.0, len(parts) * worst))


def holm(probabilities: Sequence[float]) -> list[float]:
    """The probabilities corrected for their number (Holm 1979): at most `level` of all studies err at that level."""
    order = sorted(range(len(probabilities)), key=lambda place: probabilities[place])
    corrected, largest = [1.0] * len(probabilities), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(probabilities) - rank) * probabilities[place]))
        corrected[place] = largest
    return corrected
