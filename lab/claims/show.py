"""Verdicts for people, as lines of text, and for programs, as plain values."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from lab.claims.judge import Judged

VERDICTS = ("reproduced", "contradicted", "undecided")
COLUMNS = (
    *("study", "id", "verdict", "effect", "low", "high", "p", "seeds", "more_seeds", "hours", "quantity", "kind"),
    *("section", "statement", "notes"),
)


def as_values(study: str, judged: Judged, names: Sequence[str]) -> dict[str, Any]:
    """A verdict as plain values; `outcomes` holds those of each setting by seed. What is not known is None."""
    claim, found = judged.claim, judged.evidence
    return {
        "study": study,
        "id": claim.id,
        "verdict": judged.verdict,
        "effect": known(found.effect),
        "low": known(found.low),
        "high": known(found.high),
        "p": judged.decision.p,
        "seeds": judged.seeds,
        "more_seeds": judged.missing,
        "hours": judged.hours,
        "quantity": claim.quantity,
        "kind": claim.kind,
        "section": claim.section,
        "statement": claim.statement,
        "notes": "; ".join(judged.notes),
        "outcomes": {
            names[setting]: dict(sample) for setting, sample in zip(claim.settings, judged.samples, strict=True)
        },
    }


def known(value: float) -> float | None:
    """JSON has neither nan nor inf."""
    return value if math.isfinite(value) else None


def effect(judged: Judged) -> str:
    """`0.0018 (0.0011 to 0.0024)`: the effect, above 0 if it is as claimed, with its 95 % interval."""
    found = judged.evidence
    if not math.isfinite(found.effect):
        return "unknown"
    if not math.isfinite(found.low):
        return f"{found.effect:.3g}"
    return f"{found.effect:.3g} ({found.low:.3g} to {found.high:.3g})"


def probability(p: float) -> str:
    """`0.012`, `< 0.001`."""
    return "< 0.001" if p < 0.001 else f"{p:.2g}"


def sentence(judged: Judged) -> str:
    """What the verdict rests on, in one line."""
    count = judged.seeds
    parts = [f"{judged.claim.quantity}: effect {effect(judged)}", f"p {probability(judged.decision.p)}"]
    parts += [f"{count} seed{'s' * (count != 1)}", *judged.notes]
    if judged.advice:
        parts.append(judged.advice)
    return ", ".join(parts)


def lines(title: str, judged: Sequence[Judged]) -> list[str]:
    """The claims of a study, two lines each."""
    found = [title]
    for one in judged:
        found.append(f"  {one.verdict:<13} {one.claim.id}: {one.claim.statement}")
        found.append(f"  {'':<13} {sentence(one)}")
    return found


def counted(verdicts: Iterable[str]) -> str:
    """`12 claims: 5 reproduced, 2 contradicted, 5 undecided`."""
    counts = Counter(verdicts)
    total = sum(counts.values())
    return f"{total} claim{'s' * (total != 1)}: " + ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS)
