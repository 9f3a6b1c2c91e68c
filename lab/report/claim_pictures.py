"""The little picture of a claim: a point for each seed, and the interval of the effect against zero."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup, escape

from lab.claims.definition import Definition
from lab.claims.judge import Judged
from lab.claims.show import effect, probability
from lab.report.outcomes import definition_of, judge_folder
from lab.report.table import show_number

WIDTH, LABELS, ROW = 420, 150, 17  # CSS pixels: of the picture, of its labels, and the height of a row
MARGIN = 12  # of the scale, on both sides
LONGEST = 24  # letters of a label
MOST_ROWS = 8  # settings that are drawn


@dataclass(frozen=True)
class ClaimRow:
    """A claim as the page shows it."""

    judged: Judged
    picture: Markup
    effect: str
    p: str


def claim_rows(folder: Path) -> list[ClaimRow]:
    """The claims of the study in a folder, with their verdicts; none if it has no claims."""
    definition = definition_of(folder)
    return [
        ClaimRow(one, picture(one, definition), effect(one), probability(one.decision.p))
        for one in (judge_folder(folder, definition) if definition.claims else [])
    ]


def picture(judged: Judged, definition: Definition) -> Markup:
    """The picture as SVG, empty without outcomes."""
    values = [value for sample in judged.samples for value in sample.values()]
    if not values:
        return Markup()
    claim = judged.claim
    limit = [claim.limit] if claim.kind in ("at_least", "at_most") else []
    low, high = min(values + limit), max(values + limit)
    rows = list(zip(claim.settings, judged.samples, strict=True))[:MOST_ROWS]
    parts = []
    for number, (setting, sample) in enumerate(rows):
        y = ROW * number + 12
        parts.append(label(definition.names[setting], y))
        for seed, value in sample.items():
            title = f"seed {seed}: {show_number(value)}"
            parts.append(
                f'<circle class="seed" cx="{x_of(value, low, high)}" cy="{y}" r="3.5"><title>{title}</title></circle>'
            )
        if sample:
            middle = x_of(math.fsum(sample.values()) / len(sample), low, high)
            parts.append(f'<path class="mean" d="M{middle} {y - 7}v14"/>')
    bottom = ROW * len(rows) + 6
    for value in limit:
        parts.append(f'<path class="limit" d="M{x_of(value, low, high)} 2V{bottom}"/>')
    parts.append(scale(low, high, bottom))
    parts += interval(judged, bottom + 34)
    height = bottom + 50
    name = escape(f"{claim.statement} {judged.verdict}, effect {effect(judged)}")
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    opening = f'<svg class="claim" {size} role="img" aria-label="{name}">'
    return Markup(opening + "".join(parts) + "</svg>")


def x_of(value: float, low: float, high: float) -> str:
    """The place of a value on a scale from `low` to `high`."""
    share = (value - low) / (high - low) if high > low else 0.5
    return f"{LABELS + MARGIN + share * (WIDTH - LABELS - 2 * MARGIN):.1f}"


def label(text: str, y: int) -> str:
    """The name of a row, cut off where it is long; the whole one appears on hovering."""
    cut = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    return f'<text x="{LABELS - 4}" y="{y + 4}" text-anchor="end">{escape(cut)}<title>{escape(text)}</title></text>'


def scale(low: float, high: float, y: int) -> str:
    """An axis with the lowest and the highest value."""
    start, end = x_of(low, low, high), x_of(high, low, high)
    if low == high:
        return f'<text class="tick" x="{start}" y="{y + 12}" text-anchor="middle">{show_number(low)}</text>'
    return (
        f'<path class="axis" d="M{start} {y}H{end}"/>'
        f'<text class="tick" x="{start}" y="{y + 12}" text-anchor="start">{show_number(low)}</text>'
        f'<text class="tick" x="{end}" y="{y + 12}" text-anchor="end">{show_number(high)}</text>'
    )


def interval(judged: Judged, y: int) -> Sequence[str]:
    """The effect with its 95 % interval on a scale of its own, with a line at 0; right of it is as claimed."""
    found = judged.evidence
    if not math.isfinite(found.low + found.high):
        return [label("no interval", y)]
    reach = max(abs(found.low), abs(found.high)) or 1.0
    low, effect_at, high, zero = (x_of(value, -reach, reach) for value in (found.low, found.effect, found.high, 0.0))
    return [
        label("effect, 95 %", y),
        f'<path class="axis" d="M{zero} {y - 8}v16"/>',
        f'<path class="interval {judged.verdict}" d="M{low} {y}H{high}M{low} {y - 4}v8M{high} {y - 4}v8"/>',
        f'<circle class="effect {judged.verdict}" cx="{effect_at}" cy="{y}" r="4"/>',
    ]
