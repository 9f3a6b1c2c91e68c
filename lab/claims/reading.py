"""The `claims:` of a study's file: what is read, and one message for each mistake in it."""

import difflib
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from lab.claims.claim import KINDS, Claim, Kind, Measure
from lab.claims.settings import Setting, Settings, number
from lab.errors import UserError
from lightning_models.metrics.catalogue import direction_of

OTHERS, ALL = "others", "all"
FOR_KIND: dict[str, tuple[str, ...]] = {  # keys beside those that every claim may have
    "better": ("than",),
    "order": (),
    "trend": ("where",),
    "similar": ("within", "where"),
    "at_least": ("setting",),
    "at_most": ("setting",),
    "event": ("setting", "never"),
}
COMMON = ("id", "statement", "section", "because", "length")
MEASURED = ("metric", "measure", "direction")
COSTS = ("seconds",)  # of every trial, beside its recorded metrics; less is better
MEASURES = ("last", "mean", "at", "fluctuation", "change", "batches_to")


@contextmanager
def about(path: Path, name: str) -> Iterator[None]:
    """Messages that begin with the file and the claim."""
    try:
        yield
    except UserError as mistake:
        raise UserError(f"{path}: claim {name}: {mistake}") from None


def read_claims(
    path: Path,
    given: Any,
    settings: Sequence[Setting],
    labels: Sequence[str],
    record: Sequence[str],
    direction: str | None,
    absent_settings: bool = False,
) -> list[Claim]:
    """The claims in a study's file.

    Args:
        path: of the file, for messages.
        given: what stands under `claims`.
        settings: of the study, in their order.
        labels: names of the settings of a list, or none.
        record: the study's metrics.
        direction: in which the first metric is better.
        absent_settings: leave out claims about settings that are not there, as the quick size of a study may lack them.

    Raises:
        UserError: for the first claim that the study could not decide.
    """
    if not given:
        return []
    if not isinstance(given, (list, tuple)) or not all(isinstance(entry, dict) for entry in given):
        raise UserError(f"{path}: claims is {given!r}: expected a list of claims, each with an id and a statement")
    if not settings:
        raise UserError(f"{path}: a search has no settings to claim something of: give a grid or a list")
    known = Settings(settings, labels)
    claims: list[Claim] = []
    for place, entry in enumerate(given):
        name = str(entry.get("id", f"number {place + 1}"))
        with about(path, name):
            if name in [claim.id for claim in claims]:
                raise UserError("there are two claims of this id: rename one of them")
            check_keys(entry)
            try:
                places = places_of(known, entry)
            except UserError:
                if absent_settings:
                    continue
                raise
            claims.append(read_claim(entry, places, record, direction))
    return claims


def kind_of(entry: dict[str, Any]) -> Kind:
    """The kind of a claim, which is the key that says it."""
    kinds = [kind for kind in KINDS if kind in entry]
    if len(kinds) != 1:
        raise UserError(f"it has {' and '.join(kinds) or 'none of ' + ', '.join(KINDS)}: give exactly one of them")
    return kinds[0]


def check_keys(entry: dict[str, Any]) -> None:
    """Raise a UserError for a missing or an unknown key."""
    kind = kind_of(entry)
    for key in ("id", "statement"):
        if not isinstance(entry.get(key), str) or not entry[key].strip():
            raise UserError(f"{key} is {entry.get(key)!r}: give a text")
    allowed = (*COMMON, kind, *FOR_KIND[kind], *(() if kind == "event" else MEASURED))
    for key in entry:
        if key not in allowed:
            nearest = difflib.get_close_matches(str(key), allowed, n=1)
            hint = f"did you mean {nearest[0]}?" if nearest else f"use {', '.join(allowed)}"
            raise UserError(f"a claim with `{kind}` has no key {key}; {hint}")
    required = {"better": "than", "similar": "within", "at_least": "setting", "at_most": "setting", "event": "setting"}
    if kind in required and required[kind] not in entry:
        raise UserError(f"`{kind}` needs `{required[kind]}`")


def places_of(known: Settings, entry: dict[str, Any]) -> list[int]:
    """The numbers of the settings that a claim is about, in the order that its kind needs."""
    kind = kind_of(entry)
    if kind in ("at_least", "at_most", "event"):
        return [known.find(entry["setting"])]
    if kind == "better":
        first, than = known.find(entry["better"]), entry["than"]
        if than == OTHERS:
            return [first, *(place for place in range(len(known.settings)) if place != first)]
        others = [known.find(other) for other in (than if isinstance(than, list) else [than])]
        if first in others:
            raise UserError(f"{entry['better']} is compared with itself: name another setting in `than`")
        return [first, *others]
    fewest = 3 if kind == "trend" else 2
    if kind == "trend" and isinstance(entry["trend"], str):
        places = known.along(entry["trend"], entry.get("where"))
    elif kind == "similar" and entry["similar"] == ALL:
        places = known.matching(entry["where"]) if entry.get("where") else list(range(len(known.settings)))
    elif isinstance(entry[kind], list):
        places = [known.find(named) for named in entry[kind]]
    else:
        raise UserError(f"{kind} is {entry[kind]!r}: give a list of settings, such as [{known.example()}]")
    if len(set(places)) != len(places):
        raise UserError(f"`{kind}` names a setting twice")
    if len(places) < fewest:
        raise UserError(f"`{kind}` has {len(places)} settings: it needs {fewest} or more")
    return places


def read_claim(entry: dict[str, Any], places: list[int], record: Sequence[str], direction: str | None) -> Claim:
    """A claim about settings that are there."""
    kind = kind_of(entry)
    metric, measure, higher = "", Measure(), None
    if kind != "event":
        metric, measure = metric_of(entry, record), measure_of(entry)
        known = direction if metric == record[0] and direction else direction_of(metric)
        measure, higher = with_direction(kind, entry, metric, measure, known)
    margin, relative = margin_of(entry) if kind == "similar" else (0.0, False)
    if kind == "event" and not (isinstance(entry["event"], str) and entry["event"]):
        raise UserError(f"event is {entry['event']!r}: give the name of an alarm, such as mode_collapse")
    never = entry.get("never", False)
    if not isinstance(never, bool):
        raise UserError(f"never is {never!r}: give true or false")
    return Claim(
        id=entry["id"],
        statement=entry["statement"].strip(),
        kind=kind,
        settings=tuple(places),
        section=str(entry.get("section", "")),
        metric=metric,
        measure=measure,
        higher_is_better=higher,
        limit=a_number(kind, entry[kind]) if kind in ("at_least", "at_most") else 0.0,
        margin=margin,
        relative=relative,
        event=entry["event"] if kind == "event" else "",
        never=never,
        because=str(entry.get("because", "")).strip(),
        length=length_of(entry.get("length")),
    )


def metric_of(entry: dict[str, Any], record: Sequence[str]) -> str:
    """The metric of a claim; by default the study's first one."""
    metric = entry.get("metric", record[0])
    if metric not in (*record, *COSTS):
        raise UserError(f"the study does not record {metric}: it records {', '.join((*record, *COSTS))}")
    return str(metric)


def measure_of(entry: dict[str, Any]) -> Measure:
    """What is taken of the metric: a word, or a word with its arguments."""
    given = entry.get("measure", "last")
    kind, arguments = next(iter(given.items())) if isinstance(given, dict) and len(given) == 1 else (given, None)
    message = (
        f"measure is {given!r}: use last, mean, fluctuation, {{at: 0.5}}, {{change: [0, 1]}} or {{batches_to: 0.97}}"
    )
    if kind not in MEASURES:
        raise UserError(message)
    listed = arguments if isinstance(arguments, list) else [] if arguments is None else [arguments]
    numbers = [number(argument) for argument in listed]
    if len(numbers) != {"at": 1, "change": 2, "batches_to": 1}.get(kind, 0) or None in numbers:
        raise UserError(message)
    values = tuple(float(value) for value in numbers if value is not None)
    if kind == "change" and not 0 <= values[0] < values[1] <= 1:
        raise UserError(f"measure is {given!r}: a change is between two shares of the run, such as [0.5, 1]")
    if kind == "at" and not 0 <= values[0] <= 1:
        raise UserError(f"measure is {given!r}: give a share of the run, such as 0.5")
    return Measure(kind, values)


def with_direction(
    kind: Kind, entry: dict[str, Any], metric: str, measure: Measure, known: str | None
) -> tuple[Measure, bool | None]:
    """The measure with the side from which it reaches a level, and whether more of what is measured is better.

    Args:
        kind: of the claim.
        entry: which may have a `direction` of its own.
        metric: that is measured.
        measure: what is taken of it.
        known: the direction of the metric, or None.

    Raises:
        UserError: if the direction is not known and the claim needs it.
    """
    chosen = entry.get("direction")
    if chosen not in (None, "minimize", "maximize"):
        raise UserError(f"direction is {chosen!r}: choose minimize or maximize")
    if measure.kind == "batches_to":
        if (chosen := chosen or known) is None:
            raise UserError(f"it is not known from which side {metric} reaches its level: give `direction`")
        return replace(measure, rising=chosen == "maximize"), False
    if measure.kind == "fluctuation" or metric in COSTS:
        known = "minimize"
    if (chosen := chosen or known) is None and kind in ("better", "order", "trend"):
        raise UserError(f"it is not known whether less or more {metric} is better: give `direction`")
    return measure, None if chosen is None else chosen == "maximize"


def margin_of(entry: dict[str, Any]) -> tuple[float, bool]:
    """The margin of `similar`, and whether it is a share of the mean."""
    text = entry["within"]
    relative = isinstance(text, str) and text.endswith("%")
    margin = number(text[:-1] if relative else text)
    if margin is None or not 0 < margin < math.inf:
        raise UserError(f"within is {text!r}: give a number above 0 in the metric's unit, or a share such as 10%")
    return (margin / 100, True) if relative else (margin, False)


def a_number(key: str, value: Any) -> float:
    """A limit."""
    found = number(value)
    if found is None or not math.isfinite(found) or isinstance(value, bool):
        raise UserError(f"{key} is {value!r}: give a number")
    return found


def length_of(given: Any) -> tuple[int, str] | None:
    """The length of the report's runs: `100 epochs` or `4000 batches`."""
    if given is None:
        return None
    words = str(given).split()
    if len(words) != 2 or not words[0].isdigit() or words[1] not in ("epochs", "batches") or int(words[0]) < 1:
        raise UserError(f"length is {given!r}: give that of the report's runs, such as 100 epochs or 4000 batches")
    return int(words[0]), words[1]
