"""docs/results/README.md, made from the kept results of the shipped studies, which lie beside it as CSV files.

    python cli.py claims configs/studies --save docs/results     # keep the results of the studies in runs/studies
    python -m benchmarks.claim_tables                            # make the page anew

A test fails if the page is not that of the files.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean, stdev

from lab.claims.judge import Judged
from lab.claims.outcomes import Outcome
from lab.claims.show import VERDICTS, effect, probability
from lab.claims.verdicts import FEWEST
from lab.commands.claims import Source, find
from lab.files import atomic_write

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "results" / "README.md"
HEAD = """# Results of the studies

Made by `python -m benchmarks.claim_tables` from the CSV files beside this page: a row for each trial, with its commit
and machine, below the command that made it. What the columns of the verdicts mean is in [claims.md](../claims.md); what
follows from them in [RESULTS.md](../RESULTS.md).
"""


def main() -> None:
    """Write the page."""
    with atomic_write(PAGE) as unfinished:
        unfinished.write_text(page(), encoding="utf-8")
    print(PAGE.relative_to(ROOT))


def page() -> str:
    """The page, from the kept results alone."""
    sources = [source for source in find(ROOT / "configs" / "studies", Path("no runs")) if source.place is not None]
    judged = {source.name: source.judged for source in sources}
    lines = [HEAD, "## Verdicts", ""]
    lines += list(counts([one for found in judged.values() for one in found]))
    for source in sources:
        lines += ["", f"### {source.name}", "", *verdicts(source, judged[source.name])]
    lines += ["", "## Outcomes", "", "Mean ± standard deviation over the completed seeds."]
    for source in sources:
        lines += ["", f"### Outcomes of {source.name}", "", *outcomes(source)]
    return "\n".join(lines) + "\n"


def counts(judged: Sequence[Judged]) -> Iterator[str]:
    """How many claims have which verdict."""
    found = Counter(one.verdict for one in judged if one.seeds >= FEWEST)
    listed = ", ".join(f"{found[verdict]} {verdict}" for verdict in VERDICTS)
    yield f"{sum(found.values())} claims have {FEWEST} seeds or more: {listed}. An effect above 0 is as claimed."


def verdicts(source: Source, judged: Sequence[Judged]) -> Iterator[str]:
    """The table of the claims of a study."""
    yield "| claim | verdict | compared | effect (95 % interval) | p | seeds | |"
    yield "|---|---|---|---|---|---|---|"
    for one in judged:
        notes = "; ".join([*one.notes, *([one.advice] if one.advice else [])])
        verdict = one.verdict if one.verdict == "undecided" else f"**{one.verdict}**"
        yield (
            f"| {one.claim.statement} (`{one.claim.id}`) | {verdict} | {one.claim.quantity} | {effect(one)} "
            f"| {probability(one.decision.p)} | {one.seeds} | {notes} |"
        )


def outcomes(source: Source) -> Iterator[str]:
    """The table of the settings of a study, below a line that says where its rows are and how they were made."""
    complete = [one for one in source.outcomes if one.state == "complete"]
    quantities = list(dict.fromkeys(name for one in complete for name in one.values))
    file = f"{source.name}.csv"
    machines = ", ".join(sorted({one.machine for one in complete if one.machine}))
    commits = ", ".join(sorted({f"`{one.commit}`" for one in complete if one.commit}))
    command = (ROOT / "docs" / "results" / file).read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
    yield f"[{file}]({file}): `{command}` on {machines or 'an unknown machine'}, commit {commits or 'unknown'}."
    yield ""
    yield f"| setting | seeds | {' | '.join(quantities)} | seconds |"
    yield "|---|---|" + "---|" * (len(quantities) + 1)
    for number, name in enumerate(source.definition.names):
        own = [one for one in complete if one.setting == number]
        cells = [spread(own, quantity) for quantity in quantities]
        seconds = f"{fmean(one.seconds or 0.0 for one in own):.0f}" if own else ""
        yield f"| {name} | {len(own)} | {' | '.join(cells)} | {seconds} |"


def spread(own: Sequence[Outcome], quantity: str) -> str:
    """`0.9785 ± 0.0008`; without a deviation for a single seed."""
    values = [one.values[quantity] for one in own if quantity in one.values]
    if not values:
        return ""
    return f"{fmean(values):.4g}" + (f" ± {stdev(values):.2g}" if len(values) > 1 else "")


if __name__ == "__main__":
    main()
