"""claims: which claims of a study its runs reproduce or contradict, and what would decide the others."""

import argparse
import csv
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.claims.definition import Definition
from lab.claims.judge import Judged, judge
from lab.claims.outcomes import Outcome, read_outcomes, write_outcomes
from lab.claims.show import COLUMNS, as_values, counted, lines
from lab.commands.parser import Parser
from lab.errors import UserError, UserFileError
from lab.program import command_line
from lab.report.outcomes import definition_of, outcomes_in
from lab.shipped import find_config, shipped_results
from lab.studies.study_file import read_study
from lab.yaml_files import read_yaml


@dataclass(frozen=True)
class Source:
    """A study with claims, and the outcomes of its trials; `place` is where they were found, None if nowhere."""

    name: str
    definition: Definition
    outcomes: list[Outcome]
    place: Path | None
    quick: bool = False

    @property
    def judged(self) -> list[Judged]:
        """The verdicts on its claims."""
        return judge(self.definition.claims, self.outcomes)


def run(options: list[str]) -> None:
    """Print the verdicts."""
    parser = Parser("claims", "Say which claims of studies hold, from the runs that there are.")
    parser.add_argument(
        "place", metavar="PLACE", nargs="?", default="configs/studies",
        help="a study's folder, its file, or a folder of study files; by default configs/studies",
    )  # fmt: skip
    parser.add_argument(
        "--results", metavar="DIR", default="runs/studies", help="where the folders of studies are; runs/studies"
    )
    parser.add_argument("--save", metavar="DIR", help="keep the outcomes there as small CSV files, one a study")
    parser.add_argument("--wandb", metavar="PROJECT", help="log a table of each study to W&B, in the study's group")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON, with the outcome of every seed")
    form.add_argument("--csv", action="store_true", help="print CSV, a line for each claim")
    given: argparse.Namespace = parser.parse_args(options)
    sources = list(find(Path(given.place).expanduser(), Path(given.results).expanduser()))
    if given.save:
        save(sources, Path(given.save).expanduser())
    verdicts = [(source, source.judged) for source in sources]
    rows = [as_values(one.name, found, one.definition.names) for one, judged in verdicts for found in judged]
    if given.wandb:
        to_wandb(given.wandb, rows)
    if given.json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
    elif given.csv:
        writer = csv.DictWriter(sys.stdout, COLUMNS, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    else:
        for source, judged in verdicts:
            size = ", quick size" if source.quick else ""
            print("\n".join(lines(f"{source.name} ({source.place or 'no runs yet'}{size})", judged)), end="\n\n")
        print(counted(row["verdict"] for row in rows))


def find(place: Path, results: Path) -> Iterator[Source]:
    """The studies with claims at a place: a study's folder, a file, or a folder of files.

    Raises:
        UserError: if there is none, or a claim is wrong.
    """
    if (place / "study.yaml").is_file():
        definition = definition_of(place)
        if not definition.claims:
            raise UserError(f"{place / 'study.yaml'} has no claims: write some under `claims` in the study's file")
        yield Source(place.name, definition, outcomes_in(place, definition), place)
        return
    place = find_config(place)
    if not place.exists():
        raise UserFileError(f"{place} does not exist: give a study's folder, its file, or a folder of study files")
    files = [place] if place.is_file() else sorted(place.rglob("*.yaml"))
    found = False
    for file in files:
        if (source := of_file(file, results)) is not None:
            found = True
            yield source
    if not found:
        raise UserError(f"{place} has no study with claims: see docs/claims.md for how to write some")


def of_file(file: Path, results: Path) -> Source | None:
    """The study of a file with the results that there are: of its full size, else of its quick one."""
    study = read_study(file)
    if not study.claims:
        return None
    empty = Source(study.name, study.definition(file), [], None)
    for quick in [False, True] if "quick" in read_yaml(file) else [False]:
        sized = read_study(file, quick)
        name = f"{study.name}-quick" if quick else study.name
        definition = sized.definition(file)
        folder, kept = results / name, shipped_results() / f"{name}.csv"
        if (folder / "results.csv").is_file():
            return Source(name, definition, outcomes_in(folder, definition), folder, quick)
        if kept.is_file():
            return Source(name, definition, read_outcomes(kept, definition.names), kept, quick)
    return empty


def save(sources: list[Source], folder: Path) -> None:
    """Keep the outcomes of those that come from the folders of studies."""
    for source in sources:
        if source.place is not None and source.place.is_dir():
            study = f"configs/studies/{source.name.removesuffix('-quick')}.yaml"
            size: tuple[Any, ...] = ("--quick",) if source.quick else ()
            command = command_line("study", study, *size)
            write_outcomes(folder / f"{source.name}.csv", source.outcomes, source.definition.names, command)


def to_wandb(project: str, rows: list[dict[str, Any]]) -> None:
    """Log a table of each study, in a run `claims` of the group of its trials."""
    from lightning_models.tracking.wandb_runs import WandbOptions
    from lightning_models.tracking.wandb_tables import log_table

    for study in dict.fromkeys(row["study"] for row in rows):
        table = [[row[column] for column in COLUMNS] for row in rows if row["study"] == study]
        mode = log_table(WandbOptions(project=project, group=study), Path.cwd(), "claims", COLUMNS, table)
        print(f"W&B          {mode}: a table of {study}", file=sys.stderr)
