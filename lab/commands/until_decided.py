"""Goes on adding seeds to a study until its claims are decided, or the time for it is used."""

import math
import time
from collections.abc import Callable
from pathlib import Path

from lab.claims.judge import Judged, as_hours
from lab.claims.outcomes import ADDED
from lab.claims.show import counted, lines
from lab.errors import UserError
from lab.report.outcomes import added, judge_folder, outcomes_in
from lab.studies import start
from lab.studies.added_seeds import MOST_LOOKS, begun_round, next_round, study_of_round
from lab.studies.study_file import Study

RunStudy = Callable[[Study, Path], int]


def until_decided(study: Study, study_dir: Path, budget: float, command: str, run_study: RunStudy) -> int:
    """Run the planned trials, then more seeds where they pay most. Returns the exit status of the last study.

    Args:
        study: with claims.
        study_dir: its folder, which is prepared.
        budget: hours for the seeds that are added; infinite for no limit.
        command: that was typed, for the records.
        run_study: runs what is missing of a study in its folder and returns its exit status.

    Raises:
        UserError: if the study has no claims.
    """
    definition = study.definition(study_dir / "study.yaml")
    if not definition.claims:
        raise UserError(f"{study.name} has no claims to decide: write some under `claims` (docs/claims.md)")
    status = run_study(study, study_dir)
    for folder in added(study_dir):  # one that was stopped
        status = max(status, run_study(begun_round(study, folder), folder))
    began = time.monotonic()
    while True:
        judged = judge_folder(study_dir, definition)
        left = budget - (time.monotonic() - began) / 3600
        number = len(added(study_dir)) + 1
        chosen = next_round(judged, left) if number <= MOST_LOOKS else None
        if chosen is None:
            print("\n".join(lines(f"{study.name}: {why_it_ends(judged, number, left)}", judged)))
            print(counted(one.verdict for one in judged))
            return status
        seeds = [outcome.seed for outcome in outcomes_in(study_dir, definition)]
        more = study_of_round(study, definition, chosen, max(seeds, default=-1) + 1, number)
        folder = study_dir / ADDED / str(number)
        print(f"{chosen.count} more seeds for {chosen.claim}, about {as_hours(chosen.hours)}", flush=True)
        start.prepare(more, folder, command)
        status = max(status, run_study(more, folder))


def why_it_ends(judged: list[Judged], number: int, left: float) -> str:
    """Why no more seeds are added."""
    open_claims = [one for one in judged if one.verdict == "undecided"]
    if not open_claims:
        return "every claim is decided"
    if number > MOST_LOOKS:
        return f"seeds were added {MOST_LOOKS} times, and more looks would err more often"
    if all(one.missing is None for one in open_claims):
        return "no number of seeds would decide the rest"
    return f"what is left of the budget ({as_hours(max(0.0, left))}) decides nothing" if math.isfinite(left) else "done"
