"""Learning curves as plotly figures, and the colours of the charts."""

import html
import math
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from lab.report.collection import Collection, finite
from lab.report.compare import is_detail, is_result
from lab.report.runs import Curve, Run
from lab.report.table import Setting, is_number, ranking

# With a contrast of at least 3 : 1 to both the light and the dark page: one set of colours serves both.
NAMED = ("#2374bb", "#d1571a", "#0f9268", "#b0559b", "#b98500", "#3b97cf", "#8a6a4a", "#d8506a")
SCALE = ("#6a51c8", "#2f77c9", "#12918c", "#6f9420", "#c78512", "#d2482f")  # ordered, violet to red
GREY = "#85888d"
POINTS_OF_A_CHART = 6_000
FEWEST_POINTS, MOST_POINTS = 100, 1000  # of a curve
MANY_RUNS = 12  # more of them are drawn fainter, so that their means stand out


@dataclass(frozen=True)
class Chart:
    """A figure as plotly's JSON, with its title, a note below it, and its height in CSS pixels.

    `flat` is set if it says little: its values never change, or it is a speed or a norm.
    """

    title: str
    figure: str
    note: str
    height: int
    flat: bool = False


def colours(settings: list[Setting], collection: Collection) -> list[str]:
    """A colour for each setting, by its number.

    A single numeric option is coloured by an ordered scale. Otherwise the eight best settings by the first metric have
    colours of their own and the others are grey: more than eight cannot be told apart.
    """
    if len(collection.options) == 1 and all(is_number(value) for s in settings for value in s.values.values()):
        return [on_scale(s.number / max(1, len(settings) - 1)) for s in settings]
    if len(settings) <= len(NAMED):
        return [NAMED[s.number] for s in settings]
    chosen = ranking(settings, collection.metrics[0] if collection.metrics else None)[: len(NAMED)]
    places = {setting.number: place for place, setting in enumerate(chosen)}
    return [NAMED[places[s.number]] if s.number in places else GREY for s in settings]


def on_scale(position: float) -> str:
    """The colour at `position`, 0 to 1, of the ordered scale."""
    place = position * (len(SCALE) - 1)
    low = min(int(place), len(SCALE) - 2)
    pairs = [(int(SCALE[low][i : i + 2], 16), int(SCALE[low + 1][i : i + 2], 16)) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(a + (b - a) * (place - low)):02x}" for a, b in pairs)


def finished(figure: go.Figure, title: str, note: str, height: int = 300, flat: bool = False) -> Chart:
    """A chart of `figure`; the page sets fonts and the colours of axes by its theme."""
    figure.update_layout(template="none", showlegend=False, hovermode="closest", dragmode="zoom")
    return Chart(title, figure.to_json(), note, height, flat)


def learning_curves(settings: list[Setting], shades: list[str]) -> dict[str, Chart]:
    """A chart of each metric that was logged at two batches or more, by its name."""
    charts = {}
    names = dict.fromkeys(name for s in settings for run in s.runs for name in run.curves)
    for name in sorted(names, key=lambda name: is_detail(name, names)):  # in their order, details last
        if any(len(run.curves[name].steps) > 1 for s in settings for run in s.runs if name in run.curves):
            charts[name] = curves_of(name, settings, shades)
    return charts


def curves_of(name: str, settings: list[Setting], shades: list[str]) -> Chart:
    """A chart of one metric: a thin line for each run and, for several seeds of a setting, a bold one of their mean."""
    figure, averaged, drawn = go.Figure(), 1, []
    count = sum(name in run.curves for s in settings for run in s.runs)
    points = min(MOST_POINTS, max(FEWEST_POINTS, POINTS_OF_A_CHART // count))
    # Grey lines first, so that coloured ones lie above them.
    for setting in sorted(settings, key=lambda s: shades[s.number] != GREY):
        runs = [run for run in setting.runs if name in run.curves]
        average = mean_curve([run.curves[name] for run in runs if run.state == "complete"])
        for run in runs:
            curve, every = thinned(run.curves[name], points)
            averaged = max(averaged, every)
            drawn += [value for value in curve.values if finite(value)]
            label = html.escape(run_label(setting, run))
            figure.add_scatter(**line(curve), name=label, legendgroup=str(setting.number))
            figure.data[-1].line = {
                "color": shades[setting.number],
                "width": 1 if average else 1.8,
                "dash": "solid" if run.state == "complete" else "dot",
            }
            if average or shades[setting.number] == GREY:
                figure.data[-1].opacity = 0.45 if count <= MANY_RUNS else 0.28
        if average:
            curve, _ = thinned(average, points)
            label = html.escape(f"{setting.label}, mean of {len(setting.complete())} seeds")
            figure.add_scatter(**line(curve), name=label, legendgroup=str(setting.number))
            figure.data[-1].line = {"color": shades[setting.number], "width": 2.6}
            figure.data[-1].opacity = 0.6 if shades[setting.number] == GREY else 1.0
    figure.update_traces(mode="lines", hovertemplate="%{fullData.name}<br>batch %{x:,}: %{y:.4g}<extra></extra>")
    figure.update_layout(xaxis_title="batches")
    notes = []
    if averaged > 1:
        notes.append(f"Long curves are drawn as means of up to {averaged} logged values.")
    low, high = without_outliers(drawn)
    if (low, high) != (min(drawn, default=0), max(drawn, default=0)):
        figure.update_yaxes(range=[low, high])
        notes.append("The largest outliers lie outside; a double click shows all.")
    flat = len(set(drawn)) < 2 or not is_result(name)
    return finished(figure, name, " ".join(notes), flat=flat)


def run_label(setting: Setting, run: Run) -> str:
    """A run's setting, seed and, unless it is complete, state."""
    parts = [setting.label] if setting.values else []
    if run.seed is not None:
        parts.append(f"seed {run.seed}")
    return ", ".join(parts or [run.name]) + ("" if run.state == "complete" else f" ({run.state})")


def line(curve: Curve) -> dict[str, list[int] | list[float | None]]:
    """The points of a curve as plotly takes them, with five digits: a screen shows no more."""
    return {"x": curve.steps, "y": [float(f"{v:.5g}") if math.isfinite(v) else None for v in curve.values]}


def mean_curve(curves: list[Curve]) -> Curve | None:
    """The mean of the curves at the batches that they share; None for one curve, or fewer than two such batches."""
    if len(curves) < 2:
        return None
    by_step: defaultdict[int, list[float]] = defaultdict(list)
    for curve in curves:
        for step, value in zip(curve.steps, curve.values, strict=True):
            by_step[step].append(value)
    steps = sorted(step for step, values in by_step.items() if len(values) == len(curves))
    return Curve(steps, [sum(by_step[step]) / len(curves) for step in steps]) if len(steps) > 1 else None


def thinned(curve: Curve, points: int) -> tuple[Curve, int]:
    """The curve with at most `points` points, and how many logged values each of them is the mean of."""
    every = math.ceil(len(curve.steps) / points)
    if every == 1:
        return curve, 1
    starts = np.arange(0, len(curve.steps), every)
    sizes = np.diff([*starts, len(curve.steps)])
    steps = np.add.reduceat(np.asarray(curve.steps, dtype=np.float64), starts) / sizes
    values = np.add.reduceat(np.asarray(curve.values, dtype=np.float64), starts) / sizes
    return Curve(steps.round().astype(int).tolist(), values.tolist()), every


def without_outliers(values: list[float]) -> tuple[float, float]:
    """The range of `values`; if the outermost 2 % take most of it, that of the others with a margin."""
    if not values:
        return 0.0, 0.0
    full = min(values), max(values)
    low, high = (float(x) for x in np.quantile(values, (0.01, 0.99)))
    if high > low and full[1] - full[0] > 5 * (high - low):
        margin = 0.15 * (high - low)
        return max(full[0], low - margin), min(full[1], high + margin)
    return full
