"""Metrics against hyper-parameters, as plotly figures."""

import html
import itertools
import math
from collections import defaultdict
from dataclasses import dataclass

import plotly.graph_objects as go

from lab.report.charts import GREY, NAMED, Chart, finished, on_scale, run_label
from lab.report.collection import LABEL, Collection, Metric, Plot, finite
from lab.report.runs import Run, Value
from lab.report.table import Setting, is_number, order, short_names, show, spread


def against_options(collection: Collection, settings: list[Setting], shades: list[str]) -> list[Chart]:
    """The plots of the collection and, if exactly two numeric options vary, a heat map of each plotted metric."""
    metrics = {metric.name: metric for metric in collection.metrics}
    charts, mapped = [], set()
    for plot in collection.plots:
        chart = against_option(plot, collection, settings, shades)
        if chart is not None:
            charts.append(chart)
        pair = tuple(collection.options)
        if len(pair) == 2 and plot.option in pair and plot.metric not in mapped:
            mapped.add(plot.metric)
            heat = heat_map(metrics[plot.metric], pair[0], pair[1], settings)
            if heat is not None:
                charts.append(heat)
    return charts


@dataclass(frozen=True)
class Point:
    """A completed run in a plot: its value `x` of the option, and `y` of the metric; `line` is what it belongs to."""

    setting: Setting
    run: Run
    x: Value
    y: float
    line: Value = None


def against_option(plot: Plot, collection: Collection, settings: list[Setting], shades: list[str]) -> Chart | None:
    """A metric against an option: a point for each run, a line through the means (for names a bar at each mean).

    If exactly one other option varies, there is a line for each of its values (at most eight).
    """
    others = [option for option in collection.options if option not in (plot.option, LABEL)]
    points = points_of(plot, settings, others[0] if len(others) == 1 else None)
    places = order([point.x for point in points])
    if len(places) < 2:
        return None
    lines, names = list(order([point.line for point in points])), short_names(collection.options)
    has_lines = 1 < len(lines) <= len(NAMED)
    figure = go.Figure()
    for line, colour in zip(lines, colours_of(lines), strict=True) if has_lines else [(None, GREY)]:
        mine = [point for point in points if not has_lines or point.line == line]
        label = html.escape(f"{names[others[0]]} {show(line)}") if has_lines else ""
        if len(mine) > len({point.x for point in mine}) or not others or has_lines:
            add_means(figure, mine, places, colour, label)
        add_runs(figure, mine, places, [colour if has_lines else shades[p.setting.number] for p in mine], label)
    notes = option_axis(figure, list(places), plot.log_x)
    figure.update_layout(xaxis_title=html.escape(names.get(plot.option, plot.option)))
    if others and not has_lines:
        notes.append("A point is a trial; the trials differ in other options, too.")
    chart = finished(figure, f"{plot.metric} against {names.get(plot.option, plot.option)}", " ".join(notes))
    if not has_lines:
        return chart
    figure.update_layout(showlegend=True, legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0})
    return Chart(chart.title, figure.to_json(), chart.note, chart.height + 24 * math.ceil(len(lines) / 4))


def points_of(plot: Plot, settings: list[Setting], second: str | None) -> list[Point]:
    """The completed runs that have the metric; `second` is the option that puts them on different lines."""
    return [
        Point(
            setting,
            run,
            run.settings.get(plot.option),
            run.metrics[plot.metric],
            None if second is None else run.settings.get(second),
        )
        for setting in settings
        for run in setting.complete()
        if finite(run.metrics.get(plot.metric))
    ]


def colours_of(lines: list[Value]) -> list[str]:
    """A colour for each line: on an ordered scale where their values are numbers."""
    if all(is_number(value) for value in lines):
        return [on_scale(place / max(1, len(lines) - 1)) for place in range(len(lines))]
    return list(NAMED[: len(lines)])


def on_axis(value: Value, places: dict[Value, int]) -> Value:
    """The place of an option's value on the horizontal axis: a number, or its text on an axis of names."""
    return value if all(is_number(each) for each in places) else html.escape(show(value))


def add_means(figure: go.Figure, points: list[Point], places: dict[Value, int], colour: str, label: str) -> None:
    """Add a line through the means of the points with equal `x`; for names, a bar at each."""
    by_value: defaultdict[Value, list[float]] = defaultdict(list)
    for point in points:
        by_value[point.x].append(point.y)
    centres = sorted(by_value, key=lambda value: places[value])
    figure.add_scatter(
        x=[on_axis(value, places) for value in centres],
        y=[sum(by_value[value]) / len(by_value[value]) for value in centres],
        mode="lines" if all(is_number(value) for value in places) else "markers",
        name=label or "mean",
        legendgroup=label,
        line={"color": colour, "width": 2.2},
        marker={"symbol": "line-ew-open", "size": 22, "color": colour, "line": {"width": 2.2}},
        hovertemplate=f"{label + ', ' if label else ''}mean at %{{x}}: %{{y:.4g}}<extra></extra>",
    )


def add_runs(figure: go.Figure, points: list[Point], places: dict[Value, int], colours: list[str], label: str) -> None:
    """Add a marker for each point, with the name of its run."""
    figure.add_scatter(
        x=[on_axis(point.x, places) for point in points],
        y=[point.y for point in points],
        mode="markers",
        legendgroup=label,
        text=[html.escape(run_label(point.setting, point.run)) for point in points],
        marker={"color": colours, "size": 8, "opacity": 0.7, "line": {"width": 0}},
        hovertemplate="%{text}<br>%{y:.4g}<extra></extra>",
        showlegend=False,
    )


def option_axis(figure: go.Figure, values: list[Value], wants_log: bool) -> list[str]:
    """Set the horizontal axis for an option's sorted values, and return notes to be shown below the chart."""
    if not all(is_number(value) for value in values):
        shown = [html.escape(show(value)) for value in values]
        figure.update_xaxes(type="category", categoryorder="array", categoryarray=shown)
        return []
    numbers = [float(value) for value in values if isinstance(value, (int, float))]
    log = wants_log and min(numbers) > 0
    if log:
        figure.update_xaxes(type="log")
    if fits_as_ticks(numbers, log):
        figure.update_xaxes(tickvals=values, ticktext=[show(value) for value in values])
    if wants_log and not log:
        return ["The axis is linear, because a logarithmic one cannot show values of 0 or less."]
    return []


def fits_as_ticks(values: list[float], log: bool) -> bool:
    """Whether labels of all values fit below the axis, on a narrow screen."""
    if len(values) > 8:
        return False
    places = [math.log(value) if log else value for value in values]
    return min(b - a for a, b in itertools.pairwise(places)) >= 0.09 * (places[-1] - places[0])


def heat_map(metric: Metric, across: str, down: str, settings: list[Setting]) -> Chart | None:
    """The means of a metric over two numeric options with at least three values each; None for any others."""
    found = {
        (s.values[across], s.values[down]): spread(
            [r.metrics[metric.name] for r in s.complete() if metric.name in r.metrics]
        )
        for s in settings
    }
    columns, rows = list(order([x for x, _ in found])), list(order([y for _, y in found]))
    if min(len(columns), len(rows)) < 3 or not all(is_number(value) for value in columns + rows):
        return None
    means = [[cell.mean if (cell := found.get((x, y))) and finite(cell.mean) else None for x in columns] for y in rows]
    names = short_names([across, down])
    figure = go.Figure()
    figure.add_heatmap(
        x=[show(x) for x in columns],
        y=[show(y) for y in rows],
        z=means,
        colorscale="Cividis",
        reversescale=metric.direction == "minimize",
        texttemplate="%{z:.3g}",
        hovertemplate=f"{names[across]} %{{x}}, {names[down]} %{{y}}: %{{z:.4g}}<extra></extra>",
        colorbar={"thickness": 12, "outlinewidth": 0},
        xgap=1,
        ygap=1,
    )
    figure.update_xaxes(type="category", title=names[across])
    figure.update_yaxes(type="category", title=names[down])
    better = "" if metric.direction is None else "Brighter is better. "
    note = f"{better}Means over seeds; empty where no trial was completed."
    return finished(
        figure, f"{metric.name} over {names[across]} and {names[down]}", note, max(260, 90 + 34 * len(rows))
    )
