"""What claims are about: the settings and metrics of a study, as its file or its folder says."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.claims.claim import Claim
from lab.claims.reading import read_claims
from lab.claims.settings import Setting


@dataclass(frozen=True)
class Definition:
    """A study as far as claims need it.

    Args:
        settings: in their order; trial `n` is of setting `n // len(seeds)`.
        names: of the settings: their labels, or their options.
        seeds: planned for each setting.
        claims: about these settings.
    """

    settings: tuple[Setting, ...]
    names: tuple[str, ...]
    seeds: tuple[int, ...]
    claims: tuple[Claim, ...]


def settings_of(study: dict[str, Any]) -> list[Setting]:
    """The settings of a grid or a list; none of a search."""
    if "grid" in study:
        space = study["grid"]
        return [dict(zip(space, values, strict=True)) for values in itertools.product(*space.values())]
    return list(study.get("list", []))


def define(path: Path, study: dict[str, Any], given: Any, absent_settings: bool = False) -> Definition:
    """The study that `study.yaml` or `Study.as_dict` holds, with its claims.

    Args:
        path: for messages.
        study: with grid or list, seeds, record and direction, all valid.
        given: what stands under `claims`.
        absent_settings: leave out claims about settings that are not there.

    Raises:
        UserError: for a claim that the study could not decide.
    """
    settings, labels = settings_of(study), [str(label) for label in study.get("labels") or []]
    record, direction = study.get("record") or [], study.get("direction")
    claims = read_claims(path, given, settings, labels, record, direction, absent_settings)
    return Definition(
        settings=tuple(settings),
        names=tuple(labels or names_of(settings)),
        seeds=tuple(study.get("seeds") or [0]),
        claims=tuple(claims),
    )


def names_of(settings: Sequence[Setting]) -> list[str]:
    """The settings in few words: `latent_dim=50 lr=0.001`, or with the whole options where two would read the same."""
    short = [words(setting, whole=False) for setting in settings]
    return short if len(set(short)) == len(short) else [words(setting, whole=True) for setting in settings]


def words(setting: Setting, whole: bool) -> str:
    """Words that occur twice, as of both networks, stand once."""
    parts = (f"{option if whole else option.rpartition('.')[2]}={value}" for option, value in setting.items())
    return " ".join(dict.fromkeys(parts)) or "base"
