"""How often verdicts on claims are wrong, and how good the predicted number of seeds is: simulated outcomes.

    python -m benchmarks.verdicts [--repeats 4000]

The outcomes of two settings are drawn from known distributions, so that it is known what is true. A verdict is wrong
if it says "reproduced" or "contradicted" where the settings are equal, or takes the worse one for the better.
"""

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from lab.claims.statistics import Evidence, Samples, compare, equivalent, more_often_than_not, one_sample, trend
from lab.claims.verdicts import LATER, Look, Verdict, decide, seeds_needed

Draw = Callable[[np.random.Generator, int], Any]
Study = Callable[[int, np.random.Generator], Iterator[tuple[str, float]]]  # what is true, share of wrong verdicts
DISTRIBUTIONS: dict[str, Draw] = {
    "normal": lambda rng, n: rng.normal(size=n),
    "Student t, 2 degrees": lambda rng, n: rng.standard_t(2, size=n),
    "Cauchy": lambda rng, n: rng.standard_cauchy(size=n),
    "log-normal": lambda rng, n: rng.lognormal(size=n),
    "one run in five breaks down": lambda rng, n: rng.normal(size=n) + 30 * (rng.random(n) < 0.2),
    "9 or 10": lambda rng, n: rng.integers(9, 11, size=n).astype(float),
    "whole numbers": lambda rng, n: np.round(rng.normal(size=n)),
    "always the same": lambda rng, n: np.full(n, 0.1135),
}
RESOLUTIONS = {"9 or 10": 1.0, "whole numbers": 1.0}
LOOKS = (3, 5, 8, 12, 18)  # seeds, each time half as many again
FAMILY = 6  # claims in a study


def samples_of(values: Any) -> Samples:
    """Outcomes by seed."""
    return {seed: float(value) for seed, value in enumerate(values)}


def verdict_on(evidence: Evidence, seeds: int) -> Verdict:
    """The verdict on the only claim of a study, at its planned seeds."""
    return decide([Look([evidence], [seeds])])[0].verdict


def equal_settings(repeats: int, rng: np.random.Generator) -> Iterator[tuple[str, float]]:
    """Share of wrong verdicts where both settings have the same distribution."""
    for name, draw in DISTRIBUTIONS.items():
        for seeds in (2, 3, 5, 10):
            wrong = sum(
                verdict_on(compare(samples_of(draw(rng, seeds)), samples_of(draw(rng, seeds)), resolution(name)), seeds)
                != "undecided"
                for _ in range(repeats)
            )
            yield f"equal, {name}, {seeds} seeds", wrong / repeats


def resolution(name: str) -> float:
    """The step between the outcomes of a distribution."""
    return RESOLUTIONS.get(name, 0.0)


def other_spread(repeats: int, rng: np.random.Generator) -> Iterator[tuple[str, float]]:
    """Share of wrong verdicts where the means are equal and one setting varies ten times as much."""
    for name in ("normal", "Student t, 2 degrees", "Cauchy"):
        draw = DISTRIBUTIONS[name]
        for seeds in (3, 5):
            wrong = sum(
                verdict_on(compare(samples_of(draw(rng, seeds)), samples_of(10 * draw(rng, seeds))), seeds)
                != "undecided"
                for _ in range(repeats)
            )
            yield f"equal means, spread 1 and 10, {name}, {seeds} seeds", wrong / repeats


def different_settings(repeats: int, rng: np.random.Generator) -> Iterator[tuple[str, float, float]]:
    """Shares of wrong and of right verdicts where the first setting is better by some standard deviations."""
    for name in ("normal", "Student t, 2 degrees"):
        draw = DISTRIBUTIONS[name]
        for effect in (1, 3, 6):
            for seeds in (3, 5):
                verdicts = [
                    verdict_on(compare(samples_of(draw(rng, seeds) + effect), samples_of(draw(rng, seeds))), seeds)
                    for _ in range(repeats)
                ]
                wrong, right = verdicts.count("contradicted"), verdicts.count("reproduced")
                yield f"better by {effect}, {name}, {seeds} seeds", wrong / repeats, right / repeats


def other_kinds(repeats: int, rng: np.random.Generator) -> Iterator[tuple[str, float]]:
    """Share of wrong verdicts of the other kinds of claims, at the border of what they say."""
    for seeds in (3, 5, 10):
        cases: dict[str, Callable[[int], Evidence]] = {
            "threshold, mean on it": lambda n: one_sample(rng.normal(size=n).tolist()),
            "threshold, heavy tails": lambda n: one_sample(rng.standard_t(2, size=n).tolist()),
            "no trend, four settings": lambda n: trend(rng.normal(size=(n, 4)).tolist()),
            "no trend, ties": lambda n: trend(rng.integers(0, 3, size=(n, 4)).tolist()),
            "event in half of the runs": lambda n: more_often_than_not((rng.random(n) < 0.5).tolist()),
            "similar, on the margin": lambda n: equivalent(
                samples_of(rng.normal(size=n) + 1), samples_of(rng.normal(size=n)), 1.0
            ),
        }
        for name, draw in cases.items():
            wrong = sum(verdict_on(draw(seeds), seeds) != "undecided" for _ in range(repeats))
            yield f"{name}, {seeds} seeds", wrong / repeats


def families(repeats: int, rng: np.random.Generator) -> Iterator[tuple[str, float]]:
    """Share of studies with any wrong verdict: `FAMILY` claims that all compare equal settings."""
    for name in ("normal", "9 or 10"):
        wrong = 0
        for _ in range(repeats):
            evidence = [
                compare(*(samples_of(DISTRIBUTIONS[name](rng, 3)) for _ in range(2)), resolution(name))
                for _ in range(FAMILY)
            ]
            wrong += any(found.verdict != "undecided" for found in decide([Look(evidence, [3] * FAMILY)]))
        yield f"a study of {FAMILY} claims, {name}, 3 seeds", wrong / repeats


def repeated_looks(repeats: int, rng: np.random.Generator) -> Iterator[tuple[str, float]]:
    """Share of wrong verdicts on equal settings if seeds are added up to four times until a verdict stands."""
    for name in ("normal", "Student t, 2 degrees", "9 or 10"):
        wrong = 0
        for _ in range(repeats):
            first, second = DISTRIBUTIONS[name](rng, LOOKS[-1]), DISTRIBUTIONS[name](rng, LOOKS[-1])
            looks = [Look([compared(first[:n], second[:n], resolution(name))], [n]) for n in LOOKS]
            wrong += decide(looks)[0].verdict != "undecided"
        yield f"equal, {name}, looked at {', '.join(map(str, LOOKS))} seeds", wrong / repeats


def compared(first: Any, second: Any, step: float = 0.0) -> Evidence:
    """Two arrays of outcomes, compared."""
    return compare(samples_of(first), samples_of(second), step)


def test_of_two(samples: Sequence[Samples]) -> Evidence:
    """The test that `seeds_needed` repeats."""
    return compare(samples[0], samples[1])


def predictions(repeats: int, rng: np.random.Generator) -> Iterator[tuple[str, int, float, float]]:
    """The number of seeds with which half of all studies decide, and the predicted one.

    "If the effect is what it looks like": the prediction is made from outcomes whose means and deviations are those of
    the distribution; the last number is the share of predictions from five drawn seeds within a factor of two.
    """
    for effect in (3.0, 1.5, 1.0, 0.7):
        real = next(n for n in range(3, 200) if share_decided(effect, n, max(200, repeats // 10), rng) >= 0.5)
        exact = np.array([-1.0, 0.0, 1.0])  # mean 0, standard deviation 1
        found = seeds_needed(test_of_two, [samples_of(exact + effect), samples_of(np.roll(exact, 1))], 1)
        tries = max(40, repeats // 10)
        close = 0
        for _ in range(tries):
            drawn = [samples_of(rng.normal(size=5) + effect), samples_of(rng.normal(size=5))]
            guess = seeds_needed(test_of_two, drawn, 1)
            close += guess is not None and real / 2 <= guess <= 2 * real
        yield f"better by {effect}", real, math.inf if found is None else found, close / tries


def share_decided(effect: float, seeds: int, repeats: int, rng: np.random.Generator) -> float:
    """How often a difference of `effect` standard deviations is decided with so many seeds, at the later level."""
    drawn = ((rng.normal(size=seeds) + effect, rng.normal(size=seeds)) for _ in range(repeats))
    return sum(compared(first, second).p <= LATER for first, second in drawn) / repeats


def main(repeats: int) -> None:
    """Print all rates, as rows of a table."""
    rng = np.random.default_rng(0)
    print(f"{repeats} repeats\n\n| what is true | wrong verdicts |\n|---|---|")
    for study in (equal_settings, other_spread, other_kinds, families, repeated_looks):
        for name, wrong in study(repeats, rng):
            print(f"| {name} | {100 * wrong:.1f} % |", flush=True)
    print("\n| what is true | wrong verdicts | right verdicts |\n|---|---|---|")
    for name, wrong, right in different_settings(repeats, rng):
        print(f"| {name} | {100 * wrong:.1f} % | {100 * right:.0f} % |", flush=True)
    print(
        "\n| what is true | seeds it takes | predicted | from five seeds, within a factor of two |\n|---|---|---|---|"
    )
    for name, real, predicted, close in predictions(repeats, rng):
        print(f"| {name} standard deviations | {real} | {predicted:.0f} | {100 * close:.0f} % |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=4000)
    main(parser.parse_args().repeats)
