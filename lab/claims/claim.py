"""A claim: what is said of which settings of a study, and the test of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Literal

from lab.claims import statistics
from lab.claims.statistics import NONE, Evidence, Samples

Kind = Literal["better", "order", "trend", "similar", "at_least", "at_most", "event"]
KINDS: tuple[Kind, ...] = ("better", "order", "trend", "similar", "at_least", "at_most", "event")


@dataclass(frozen=True)
class Measure:
    """What is taken of a metric in a run.

    Args:
        kind: `last`, the last value; `mean`, over the batches of the longest run (the area under the curve); `at`, the
            value after a share of the run; `fluctuation`, the deviation between neighbouring values in the second
            half; `change`, between two shares of the run; `batches_to`, how many batches it takes to reach a level.
        arguments: the shares, or the level.
        rising: whether the metric comes to its level from below.
    """

    kind: Literal["last", "mean", "at", "fluctuation", "change", "batches_to"] = "last"
    arguments: tuple[float, ...] = ()
    rising: bool = False

    def __str__(self) -> str:
        if self.kind == "last":
            return ""
        words = " to ".join(f"{value:g}" for value in self.arguments)
        return f"batches to {words}" if self.kind == "batches_to" else f"{self.kind} {words}".strip()


@dataclass(frozen=True)
class Claim:
    """What a report says, as numbers could show it.

    Args:
        id: unique within its study.
        statement: in words.
        section: of the report.
        kind: `better`: the first setting is better than each of the others; `order`: each is better than the next one;
            `trend`: better and better along the settings; `similar`: all within a margin; `at_least`, `at_most`: a
            limit; `event`: an alarm is raised in most runs.
        settings: their numbers in the study, in the order that the kind needs.
        metric: that is compared; empty for an event.
        measure: what is taken of it.
        higher_is_better: None where neither is better, or it does not matter.
        limit: of `at_least` and `at_most`.
        margin: of `similar`: as a number, or as a share of the mean of the first setting if `relative`.
        event: name of the alarm.
        never: whether the event is said not to happen.
        because: why this measure stands for what the report saw.
        length: of the report's runs, such as (100, "epochs"); None if it is not known.
    """

    id: str
    statement: str
    kind: Kind
    settings: tuple[int, ...]
    section: str = ""
    metric: str = ""
    measure: Measure = Measure()
    higher_is_better: bool | None = None
    limit: float = 0.0
    margin: float = 0.0
    relative: bool = False
    event: str = ""
    never: bool = False
    because: str = ""
    length: tuple[int, str] | None = None

    @property
    def quantity(self) -> str:
        """The name of what is compared: `val/fid`, `val/accuracy, batches to 0.97` or `alarm mode_collapse`."""
        if self.kind == "event":
            return f"alarm {self.event}"
        return f"{self.metric}, {self.measure}" if str(self.measure) else self.metric

    @property
    def counts(self) -> bool:
        """Whether outcomes are ranks or events, whose spread needs no correction."""
        return self.kind in ("trend", "event")

    def test(self, samples: Sequence[Samples], resolution: float = 0.0) -> Evidence:
        """The evidence in the outcomes of each setting, by seed; `resolution` is the smallest step between them."""
        if any(not sample for sample in samples):
            return NONE
        if self.kind == "event":
            happened = [bool(value) != self.never for value in samples[0].values()]
            return statistics.more_often_than_not(happened)
        if self.kind in ("at_least", "at_most"):
            sign = 1 if self.kind == "at_least" else -1
            return statistics.one_sample([sign * (value - self.limit) for value in samples[0].values()], resolution)
        if self.kind == "similar":
            margin = self.margin * abs(mean_of(samples[0])) if self.relative else self.margin
            parts = [statistics.equivalent(a, b, margin, resolution) for a, b in combinations(samples, 2)]
            return statistics.all_of(parts)
        sign = 1 if self.higher_is_better else -1
        better = [{seed: sign * value for seed, value in sample.items()} for sample in samples]
        if self.kind == "trend":
            shared = [seed for seed in better[0] if all(seed in sample for sample in better)]
            return statistics.trend([[sample[seed] for sample in better] for seed in shared])
        pairs = pairwise(better) if self.kind == "order" else ((better[0], other) for other in better[1:])
        return statistics.all_of([statistics.compare(a, b, resolution) for a, b in pairs])


def mean_of(sample: Mapping[int, float]) -> float:
    """The mean over the seeds."""
    return sum(sample.values()) / len(sample)
