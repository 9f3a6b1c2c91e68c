"""Groups runs by setting; means, standard deviations, the best settings, and numbers as text."""

import math
from dataclasses import dataclass
from statistics import mean, median, stdev

from lab.report.collection import LABEL, Collection, Metric
from lab.report.runs import Run, State, Value

MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation (n - 1) over seeds; the deviation of a single value is None."""

    mean: float
    deviation: float | None
    count: int


@dataclass(frozen=True)
class Setting:
    """The runs that differ only in the seed.

    `number` counts the settings from 0, `values` has the value of each option, and `parts` the words of its label.
    """

    number: int
    values: dict[str, Value]
    parts: list[str]
    runs: list[Run]

    @property
    def label(self) -> str:
        """The options' short names with their values: `latent_dim 10, width 32`."""
        return ", ".join(self.parts)

    def complete(self) -> list[Run]:
        """The completed runs; only these are averaged."""
        return [run for run in self.runs if run.state == "complete"]

    def shown(self) -> Run:
        """The run whose pictures and texts are shown: the first complete one that has any, else the first with any."""
        with_files = [run for run in self.runs if run.pictures or run.texts]
        return next(iter([run for run in with_files if run.state == "complete"] + with_files + self.runs))

    def spread(self, metric: str) -> Spread | None:
        """Mean and deviation of a metric over the completed runs; None if none has it."""
        return spread([run.metrics[metric] for run in self.complete() if metric in run.metrics])

    def seconds(self) -> Spread | None:
        """Mean and deviation of the wall-clock time of the completed runs."""
        return spread([run.seconds for run in self.complete() if run.seconds is not None])

    def parameters(self) -> int | None:
        """The number of parameters, which does not depend on the seed."""
        return next((run.total_parameters for run in self.runs if run.total_parameters is not None), None)

    def count(self, state: State) -> int:
        """The number of runs in this state."""
        return sum(run.state == state for run in self.runs)


def spread(values: list[float]) -> Spread | None:
    """Mean and sample standard deviation; None for no values; the mean is nan if a value is not finite."""
    if not values:
        return None
    if not all(map(math.isfinite, values)):
        return Spread(math.nan, None, len(values))
    return Spread(mean(values), stdev(values) if len(values) > 1 else None, len(values))


def group(collection: Collection) -> list[Setting]:
    """The settings, sorted by the values of the options: numbers ascending, others in order of appearance."""
    names = short_names(collection.options)
    groups: dict[tuple[Value, ...], list[Run]] = {}
    for run in collection.runs:
        groups.setdefault(tuple(run.settings.get(option) for option in collection.options), []).append(run)
    orders = [order(list(column)) for column in zip(*groups, strict=True)]
    ordered = sorted(groups.items(), key=lambda item: [by[value] for by, value in zip(orders, item[0], strict=True)])
    settings = []
    for number, (values, runs) in enumerate(ordered):
        by_option = dict(zip(collection.options, values, strict=True))
        parts = [
            show(value) if option == LABEL else f"{names[option]} {show(value)}"
            for option, value in by_option.items()
            if value != ""  # the setting does not set this option
        ] or [collection.title]
        settings.append(Setting(number, by_option, parts, runs))
    return settings


def is_number(value: Value) -> bool:
    """Whether an option's value is a number; true and false are not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def order(values: list[Value]) -> dict[Value, int]:
    """The position of each distinct value: ascending if all are numbers, else in order of appearance."""
    unique = list(dict.fromkeys(values))
    if all(is_number(value) for value in unique):
        unique.sort(key=lambda value: value)  # type: ignore[arg-type, return-value]
    return {value: place for place, value in enumerate(unique)}


def best(settings: list[Setting], metric: Metric) -> set[int]:
    """The numbers of the settings with the best mean; several in a tie.

    Nothing is best if the metric has no better direction, or if all settings have the same mean.
    """
    means = {
        s.number: spread.mean for s in settings if (spread := s.spread(metric.name)) and math.isfinite(spread.mean)
    }
    if metric.direction is None or len(set(means.values())) < 2:
        return set()
    target = min(means.values()) if metric.direction == "minimize" else max(means.values())
    return {number for number, value in means.items() if value == target}


def ranking(settings: list[Setting], metric: Metric | None) -> list[Setting]:
    """The settings from best to worst by a metric (without direction: ascending), those without a value last."""

    def key(setting: Setting) -> float:
        found = setting.spread(metric.name) if metric else None
        if metric is None or found is None or not math.isfinite(found.mean):
            return math.inf
        return -found.mean if metric.direction == "maximize" else found.mean

    return sorted(settings, key=key)


def short_names(options: list[str]) -> dict[str, str]:
    """Each option's shortest suffix of whole words that no other option ends in."""
    names = {}
    for option in options:
        words = option.split(".")
        for count in range(1, len(words) + 1):
            name = ".".join(words[-count:])
            if sum(("." + other).endswith("." + name) for other in options) == 1:
                break
        names[option] = name
    return names


def show(value: Value) -> str:
    """An option's value as text: 0.0002, 1e-05, dcgan, yes, none."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def show_number(value: float, digits: int = 4) -> str:
    """A number with `digits` significant digits, a whole one without decimals, and a typographic minus sign."""
    if not math.isfinite(value):
        return {math.inf: "∞", -math.inf: MINUS + "∞"}.get(value, "nan")
    size = abs(value)
    if size >= 10 ** (digits + 3) or 0 < size < 1e-4:
        text = f"{value:.{digits - 1}e}"
    else:
        decimals = 0 if float(value).is_integer() else max(0, digits - 1 - math.floor(math.log10(size)))
        text = f"{value:,.{decimals}f}"
    return text.replace("-", MINUS)


def decimals(spreads: list[Spread]) -> int:
    """The decimals of a column: two significant digits of the median deviation, else four of the median value."""
    deviations = [abs(found.deviation) for found in spreads if found.deviation]
    sizes = deviations or [abs(found.mean) for found in spreads if math.isfinite(found.mean) and found.mean]
    if not sizes:
        return 0
    return min(8, max(0, (1 if deviations else 3) - math.floor(math.log10(median(sizes)))))


def show_spread(found: Spread, places: int) -> str:
    """`12.34 ± 0.56` with `places` decimals; a mean of 1e7 or more is shown as 1.2e+09, without deviation."""
    if not math.isfinite(found.mean) or abs(found.mean) >= 1e7:
        return show_number(found.mean, 2)
    spread = "" if found.deviation is None else f" ± {found.deviation:,.{places}f}"
    return f"{found.mean:,.{places}f}{spread}".replace("-", MINUS)


def show_duration(seconds: float) -> str:
    """`1.6 s`, `2 min 5 s`, `3 h 12 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
