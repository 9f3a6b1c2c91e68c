"""Metrics against hyper-parameters, as plotly figures."""

import html
import itertools
import math
from collections import defaultdict

import plotly.graph_objects as go

from lab.report.charts import GREY, NAMED, Chart, finished, on_scale, run_label
from lab.report.collection import LABEL, Collection, Metric, Plot, finite
from lab.report.runs import Value
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


def against_option(plot: Plot, collection: Collection, settings: list[Setting], shades: list[str]) -> Chart | None:
    """A metric against an option: a point for each run, a line through the means (for names a bar at each mean).

    If exactly one other option varies, there is a line for each of its values (at most eight).
    """
    points = [
        (setting, run, run.settings.get(plot.option), run.metrics[plot.metric])
        for setting in settings
        for run in setting.complete()
        if finite(run.metrics.get(plot.metric))
    ]
    places = order([value for _, _, value, _ in points])
    if len(places) < 2:
        return None
    numeric = all(is_number(value) for value in places)
    others = [option for option in collection.options if option not in (plot.option, LABEL)]
    names = short_names(collection.options)
    seconds = list(order([run.settings.get(others[0]) for _, run, _, _ in points])) if len(others) == 1 else []
    by_second = 1 < len(seconds) <= len(NAMED)
    figure, notes = go.Figure(), list[str]()

    def colour(second: Value) -> str:
        place = seconds.index(second) if by_second else 0
        if by_second and all(is_number(value) for value in seconds):
            return on_scale(place / (len(seconds) - 1))
        return NAMED[place] if by_second else GREY

    def x(value: Value) -> Value:
        return value if numeric else html.escape(show(value))

    for second in seconds if by_second else [None]:
        mine = [p for p in points if not by_second or p[1].settings.get(others[0]) == second]
        label = html.escape(f"{names[others[0]]} {show(second)}") if by_second else ""
        by_value: defaultdict[Value, list[float]] = defaultdict(list)
        for _, _, value, metric in mine:
            by_value[value].append(metric)
        if len(mine) > len(by_value) or not (others and not by_second):
            centres = sorted(by_value, key=lambda value: places[value])
            figure.add_scatter(
                x=[x(value) for value in centres],
                y=[sum(by_value[value]) / len(by_value[value]) for value in centres],
                mode="lines" if numeric else "markers",
                name=label or "mean",
                legendgroup=label,
                line={"color": colour(second), "width": 2.2},
                marker={"symbol": "line-ew-open", "size": 22, "color": colour(second), "line": {"width": 2.2}},
                hovertemplate=f"{label + ', ' if label else ''}mean at %{{x}}: %{{y:.4g}}<extra></extra>",
            )
        figure.add_scatter(
            x=[x(value) for _, _, value, _ in mine],
            y=[metric for *_, metric in mine],
            mode="markers",
            legendgroup=label,
            text=[html.escape(run_label(setting, run)) for setting, run, _, _ in mine],
            marker={
                "color": [colour(second) if by_second else shades[setting.number] for setting, *_ in mine],
                "size": 8,
                "opacity": 0.7,
                "line": {"width": 0},
            },
            hovertemplate="%{text}<br>%{y:.4g}<extra></extra>",
            showlegend=False,
        )
    notes += option_axis(figure, list(places), plot.log_x)
    figure.update_layout(xaxis_title=html.escape(names.get(plot.option, plot.option)))
    if others and not by_second:
        notes.append("A point is a trial; the trials differ in other options, too.")
    chart = finished(figure, f"{plot.metric} against {names.get(plot.option, plot.option)}", " ".join(notes))
    if not by_second:
        return chart
    figure.update_layout(showlegend=True, legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0})
    return Chart(chart.title, figure.to_json(), chart.note, chart.height + 24 * math.ceil(len(seconds) / 4))


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
