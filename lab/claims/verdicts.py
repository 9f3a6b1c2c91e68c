"""Verdicts from evidence, over all claims of a study and every time somebody looked, and what is missing for one."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from lab.claims.statistics import Evidence, Samples, holm

Verdict = Literal["reproduced", "contradicted", "undecided"]
Test = Callable[[Sequence[Samples]], Evidence]  # of the outcomes of each setting that a claim names

FEWEST = 3  # seeds; fewer decide nothing
# Whoever adds seeds until he likes the verdict has more than one chance to err. So the seeds that a study has planned
# are judged at the first level, and each time that seeds were added at the second. `benchmarks.verdicts` measures that
# five looks together err in less than 5 %.
PLANNED, LATER = 0.03, 0.01
MOST = 1000  # seeds that are predicted


@dataclass(frozen=True)
class Look:
    """What was known when somebody looked: the evidence and the number of seeds of every claim of a study."""

    evidence: Sequence[Evidence]
    seeds: Sequence[int]


@dataclass(frozen=True)
class Decision:
    """A verdict with its two-sided probability, corrected for the claims of the study; `look` counts from 0."""

    verdict: Verdict
    p: float
    look: int


def decide(looks: Sequence[Look]) -> list[Decision]:
    """The verdict on each claim: that of the first look at which it was decided."""
    decided: dict[int, Decision] = {}
    corrected: list[float] = []
    for number, look in enumerate(looks):
        enough = [found.p if seeds >= FEWEST else 1.0 for found, seeds in zip(look.evidence, look.seeds, strict=True)]
        corrected = holm(enough)
        for place, (found, p) in enumerate(zip(look.evidence, corrected, strict=True)):
            if place not in decided and p <= level_of(number):
                verdict: Verdict = "reproduced" if found.p_for < found.p_against else "contradicted"
                decided[place] = Decision(verdict, p, number)
    last = len(looks) - 1
    return [decided.get(place, Decision("undecided", p, last)) for place, p in enumerate(corrected)]


def level_of(look: int) -> float:
    """The level of a look: the first one, at the planned seeds, or a later one."""
    return PLANNED if look == 0 else LATER


def seeds_needed(test: Test, samples: Sequence[Samples], open_claims: int, widen: bool = True) -> int | None:
    """The number of seeds at which a claim would be decided if its effect is what it looks like.

    Args:
        test: of the claim.
        samples: the outcomes so far of each setting. More seeds are imagined by repeating them.
        open_claims: the claims of the study that are not decided yet, for which Holm corrects.
        widen: whether outcomes are numbers, whose spread is larger by n / (n - 1) than that of repetitions. Ranks and
            events have no such bias.

    Returns:
        None if there is no effect to speak of (more than `MOST` seeds), or fewer than two seeds.
    """
    count = min((len(sample) for sample in samples), default=0)
    if count < 2:
        return None
    values = [list(sample.values())[:count] for sample in samples]
    if widen:
        values = [widened(row, math.sqrt(count / (count - 1))) for row in values]

    def is_decided(number: int) -> bool:
        imagined = [{seed: row[seed % count] for seed in range(number)} for row in values]
        return test(imagined).p * max(1, open_claims) <= LATER

    low, high = max(count, FEWEST - 1), max(count + 1, FEWEST)
    while not is_decided(high):
        if high >= MOST:
            return None
        low, high = high, min(MOST, 2 * high)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_decided(middle) else (middle, high)
    return high


def widened(values: Sequence[float], factor: float) -> list[float]:
    """The values, farther from their mean by a factor."""
    centre = math.fsum(values) / len(values)
    return [centre + factor * (value - centre) for value in values]
