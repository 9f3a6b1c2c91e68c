"""The content of a report page, as plain values."""

import math
from dataclasses import dataclass, field
from typing import Literal

from lab.report.runs import Run
from lightning_models.metrics.catalogue import Direction

LABEL = "setting"  # the only option of a study that names its settings


@dataclass(frozen=True)
class Metric:
    """A metric that runs are compared by; its direction is None if neither more nor less is better."""

    name: str
    direction: Direction | None


@dataclass(frozen=True)
class Plot:
    """A metric to be drawn against an option."""

    option: str
    metric: str
    log_x: bool = False


@dataclass(frozen=True)
class Collection:
    """The content of a page. `options` are those in which the runs differ, apart from the seed."""

    kind: Literal["run", "runs", "study"]
    title: str
    runs: list[Run]
    options: list[str] = field(default_factory=list)
    metrics: list[Metric] = field(default_factory=list)
    plots: list[Plot] = field(default_factory=list)
    question: str | None = None
    caption: str | None = None
    command: str | None = None
    quick: bool = False
    versions: dict[str, str] = field(default_factory=dict)
    definition: str | None = None
    notes: list[str] = field(default_factory=list)


def finite(value: float | None) -> bool:
    """Whether `value` is a finite number."""
    return value is not None and math.isfinite(value)
