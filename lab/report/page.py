"""The page: the content of a folder, arranged in sections and rendered as HTML."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from plotly.offline import get_plotlyjs

from lab.errors import UserError
from lab.files import atomic_write
from lab.report import charts, option_charts
from lab.report.album import Album, texts
from lab.report.charts import Chart
from lab.report.claim_pictures import ClaimRow, claim_rows
from lab.report.collect import collect
from lab.report.collection import Collection
from lab.report.runs import Run
from lab.report.table import (
    best,
    decimals,
    group,
    is_number,
    short_names,
    show,
    show_duration,
    show_number,
    show_spread,
)

PAGE = "report.html"
MAIN_CURVES = 4  # charts that are open at first


def write_page(folder: Path) -> Path:
    """Write `folder`/report.html and return its path.

    Raises:
        UserError: if the folder cannot be written to, or for the reasons of `collect`.
    """
    collection = collect(folder)
    text = render(collection, claim_rows(folder) if collection.kind == "study" else [])
    path = folder / PAGE
    try:
        with atomic_write(path) as unfinished:
            unfinished.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}): copy the folder elsewhere first") from error
    return path


def render(collection: Collection, claims: Sequence[ClaimRow] = ()) -> str:
    """The page as HTML; `claims` are those of a study, with their verdicts."""
    environment = Environment(
        loader=PackageLoader("lab.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "show": show,
        "number": show_number,
        "spread": show_spread,
        "duration": show_duration,
        "breakable": breakable,
        "count": "{:,}".format,
        "json_in_html": lambda text: Markup(text.replace("<", "\\u003c")),
    }
    environment.tests["numeric"] = is_number
    settings = group(collection)
    shades = charts.colours(settings, collection)
    main, others = curves(collection, charts.learning_curves(settings, shades))
    album = Album(collection, settings)
    templates = files("lab.report") / "templates"
    return environment.get_template("page.html.j2").render(
        collection=collection,
        claims=claims,
        settings=settings,
        shades=shades,
        names=short_names(collection.options),
        best={metric.name: best(settings, metric) for metric in collection.metrics},
        places={
            metric.name: decimals([found for setting in settings if (found := setting.spread(metric.name))])
            for metric in collection.metrics
        },
        recorded=[m for m in collection.metrics if any(m.name in run.metrics for run in collection.runs)],
        effects=option_charts.against_options(collection, settings, shades),
        curves=main,
        other_curves=others,
        matrices=album.matrices(),
        galleries=album.galleries(),
        texts=texts(album.settings, album.single),
        left_out=len(settings) - len(album.settings),
        unfinished=[run for run in collection.runs if run.state != "complete" or run.error],
        states=Counter(run.state for run in collection.runs),
        facts=facts(collection),
        style=Markup((templates / "page.css").read_text(encoding="utf-8")),
        script=Markup((templates / "page.js").read_text(encoding="utf-8")),
        plotly=Markup(get_plotlyjs()),
    )


def breakable(name: str) -> Markup:
    """The name with places for a line break: after a slash, a dot, or an underscore that follows two letters."""
    return Markup(re.sub(r"([/.]|(?<=\w\w)_)", r"\1<wbr>", str(escape(name))))


def curves(collection: Collection, found: dict[str, Chart]) -> tuple[list[Chart], list[Chart]]:
    """The charts that are shown at first (four compared metrics and two losses), and those behind a click.

    If there are fewer than four of these, other metrics that change stand in.
    """
    compared = [metric.name for metric in collection.metrics if metric.direction is not None and metric.name in found]
    losses = [name for name in found if name.endswith("loss")]
    moving = [name for name, chart in found.items() if not chart.flat]
    chosen = list(dict.fromkeys([*compared[:MAIN_CURVES], *losses[:2]]))
    chosen += [name for name in moving if name not in chosen][: max(0, MAIN_CURVES - len(chosen))]
    return [found[name] for name in chosen], [chart for name, chart in found.items() if name not in chosen]


def facts(collection: Collection) -> list[tuple[str, list[str]]]:
    """How the runs were made: names of facts, each with its distinct values."""
    runs = collection.runs
    seconds = [run.seconds for run in runs if run.seconds is not None]
    duration = []
    if seconds:
        duration = [show_duration(sum(seconds))]
        if len(seconds) > 1:
            duration[0] += f" in {len(seconds)} runs, {show_duration(sum(seconds) / len(seconds))} each on average"
    versions = [collection.versions] if collection.versions else [run.versions for run in runs]
    command = [collection.command] if collection.command else [run.command for run in runs if run.command]
    found: list[tuple[str, list[str]]] = [
        ("Command", command if len(command) == 1 else []),
        ("Size", ["quick: a smaller version of the study"] if collection.quick else []),
        ("Model", unique(run.model for run in runs)),
        ("Seeds" if len(runs) > 1 else "Seed", [", ".join(unique(run.seed for run in runs))]),
        ("Epochs", [spelled(run.epochs for run in runs)]),
        ("Batches", [spelled(run.batches for run in runs)]),
        ("Precision", unique(run.precision for run in runs)),
        ("Hardware", unique(hardware(run) for run in runs)),
        ("Versions", unique(", ".join(f"{name} {number}" for name, number in v.items()) for v in versions)),
        ("Duration", duration),
    ]
    return [(name, [value for value in values if value]) for name, values in found if any(values)]


def unique(values: Iterable[Any]) -> list[str]:
    """The distinct values as text, in order of appearance, without None and empty texts."""
    return list(dict.fromkeys(str(value) for value in values if value not in (None, "")))


def spelled(values: Iterable[int | None]) -> str:
    """`20`, or `10 to 20` if the runs differ."""
    known = [value for value in values if value is not None]
    if not known:
        return ""
    low, high = min(known), max(known)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def hardware(run: Run) -> str:
    """The GPU or CPU of a run."""
    known = run.hardware
    if not known:
        return ""
    devices = known.get("devices", 1)
    if known.get("gpu"):
        return f"{devices} x {known['gpu']}" if devices != 1 else str(known["gpu"])
    processes = f", {devices} processes" if devices != 1 else ""
    return f"{known.get('processor', 'processor unknown')}, {known.get('cores', '?')} cores, no GPU{processes}"
