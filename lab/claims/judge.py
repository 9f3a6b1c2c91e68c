"""The verdicts on the claims of a study, from the outcomes of its trials."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from lab.claims.claim import Claim
from lab.claims.outcomes import Outcome
from lab.claims.statistics import Evidence, Samples
from lab.claims.verdicts import FEWEST, Decision, Look, Verdict, decide, seeds_needed


@dataclass(frozen=True)
class Judged:
    """A claim with its verdict.

    Args:
        claim: of the study.
        evidence: of all seeds there are; the effect is above 0 if it is as claimed.
        decision: the verdict, and its probability corrected for the study's claims.
        samples: the outcomes of each setting of the claim, by seed.
        seeds: how many seeds every setting of the claim has.
        missing: seeds that would decide it if the effect is what it looks like, beyond those there are; None if it is
            decided, or no number would.
        hours: what they cost, one after the other, on the machine that ran the others.
        notes: what one has to know beside the verdict, such as trials that failed.
    """

    claim: Claim
    evidence: Evidence
    decision: Decision
    samples: tuple[Samples, ...]
    seeds: int
    missing: int | None = None
    hours: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Reproduced, contradicted or undecided."""
        return self.decision.verdict

    @property
    def advice(self) -> str:
        """What would decide an undecided claim."""
        if self.verdict != "undecided":
            return ""
        if self.missing is None:
            if self.seeds < FEWEST:
                return f"{FEWEST - self.seeds} more seeds at least"
            return "no number of seeds would decide it at the present effect"
        cost = "" if self.hours is None else f", {as_hours(self.hours)}"
        return f"{self.missing} more seed{'s' * (self.missing > 1)}{cost}"


def as_hours(hours: float) -> str:
    """`0.02 h`, `3.5 h`, `120 h`."""
    return f"{hours:.2g} h" if hours < 100 else f"{hours:.0f} h"


def judge(claims: Sequence[Claim], outcomes: Sequence[Outcome]) -> list[Judged]:
    """The verdict on each claim of a study; see `lab.claims.verdicts` for how seeds that were added count."""
    last = max((outcome.look for outcome in outcomes), default=0)
    steps = {claim.quantity: resolution(claim.quantity, outcomes) for claim in claims}
    looks = []
    for number in range(last + 1):
        known = [outcome for outcome in outcomes if outcome.look <= number]
        found = [samples_of(claim, known) for claim in claims]
        evidence = [claim.test(own, steps[claim.quantity]) for claim, own in zip(claims, found, strict=True)]
        looks.append(Look(evidence, [seeds_of(own) for own in found]))
    decisions = decide(looks)
    undecided = sum(decision.verdict == "undecided" for decision in decisions)
    judged = []
    for place, (claim, decision) in enumerate(zip(claims, decisions, strict=True)):
        samples = samples_of(claim, outcomes)
        missing = None
        if decision.verdict == "undecided":
            needed = seeds_needed(
                lambda own, claim=claim: claim.test(own, steps[claim.quantity]),  # type: ignore[misc]
                samples,
                undecided,
                widen=not claim.counts,
            )
            missing = None if needed is None else max(1, needed - seeds_of(samples))
        hours = None if missing is None else cost_of_a_seed(claim, outcomes) * missing
        judged.append(
            Judged(
                claim,
                looks[-1].evidence[place],
                decision,
                tuple(samples),
                seeds_of(samples),
                missing,
                hours,
                tuple(notes_on(claim, outcomes)),
            )
        )
    return judged


def samples_of(claim: Claim, outcomes: Sequence[Outcome]) -> list[Samples]:
    """The outcomes of each setting of a claim, by seed.

    A level that was never reached counts as one batch after the end of the longest run, which makes the difference
    smaller than it is.
    """
    values = [one.values[claim.quantity] for one in outcomes if claim.quantity in one.values]
    longest = max((one.batches or 0 for one in outcomes), default=0)
    never = max([longest, *(value for value in values if math.isfinite(value))], default=0) + 1.0
    samples: list[Samples] = []
    for setting in claim.settings:
        own = {
            one.seed: one.values[claim.quantity]
            for one in outcomes
            if one.setting == setting and claim.quantity in one.values  # which only complete trials have
        }
        samples.append({seed: never if math.isinf(value) else value for seed, value in sorted(own.items())})
    return samples


def seeds_of(samples: Sequence[Samples]) -> int:
    """How many seeds every setting has."""
    return min((len(sample) for sample in samples), default=0)


def resolution(quantity: str, outcomes: Sequence[Outcome]) -> float:
    """The smallest step between two outcomes of a quantity; 0 if they are all the same."""
    values = sorted({one.values[quantity] for one in outcomes if math.isfinite(one.values.get(quantity, math.nan))})
    return min((b - a for a, b in pairwise(values)), default=0.0)


def cost_of_a_seed(claim: Claim, outcomes: Sequence[Outcome]) -> float:
    """Hours for one more run of each setting of a claim."""
    known = [one.seconds for one in outcomes if one.seconds is not None]
    seconds = 0.0
    for setting in claim.settings:
        own = [one.seconds for one in outcomes if one.setting == setting and one.seconds is not None]
        seconds += fmean(own or known or [0.0])
    return seconds / 3600


def notes_on(claim: Claim, outcomes: Sequence[Outcome]) -> list[str]:
    """What one has to know beside the verdict: a shorter length, failed trials, mixed commits, why this measure."""
    own = [one for one in outcomes if one.setting in claim.settings]
    complete = [one for one in own if one.state == "complete"]
    notes = []
    if claim.length is not None and complete:
        wanted, unit = claim.length
        longest = max((one.epochs if unit == "epochs" else one.batches) or 0 for one in complete)
        if 0 < longest < wanted:
            notes.append(f"at {longest:,} of {wanted:,} {unit}")
    if failed := sum(one.state in ("failed", "pruned") for one in own):
        notes.append(f"{failed} of {len(own)} trials failed")
    if lacking := sum(claim.quantity not in one.values for one in complete):
        notes.append(f"{lacking} of {len(complete)} trials have no {claim.quantity}")
    unreached = sum(math.isinf(one.values.get(claim.quantity, 0.0)) for one in complete)
    if unreached:
        notes.append(f"{unreached} of {len(complete)} runs never reached it")
    commits = sorted({one.commit or "unknown" for one in complete})
    if len(commits) > 1:
        notes.append(f"results of {len(commits)} commits mixed: {', '.join(commits)}")
    return notes
