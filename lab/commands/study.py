"""study: every trial of a study file, on one machine or many, and again after a kill."""

import argparse
import math
import sys
from pathlib import Path

from lab.commands.parser import Parser
from lab.program import command_line


def run(options: list[str]) -> None:
    """Run the study that a file describes, or what is missing of it."""
    parser = Parser("study", "Run all trials of a study; the same command again resumes it.")
    parser.add_argument("file", metavar="FILE", help="the study, such as configs/studies/report5/width.yaml")
    parser.add_argument("--study_dir", metavar="DIR", help="its folder; by default runs/studies/<name of the file>")
    parser.add_argument("--workers", type=int, default=1, help="processes that run trials side by side")
    parser.add_argument("--storage", metavar="URL", help="a database or a gRPC proxy, for several machines")
    parser.add_argument("--quick", action="store_true", help="the quick size, which ends within minutes")
    parser.add_argument("--dry_run", action="store_true", help="only list the trials, their parameters and their time")
    parser.add_argument("--retry_failed", action="store_true", help="run failed trials again, too")
    parser.add_argument("--allow_large", action="store_true", help="run more than 1,000 trials")
    parser.add_argument(
        "--until_decided", "--until-decided", action="store_true", help="add seeds until its claims are decided"
    )
    parser.add_argument("--budget", metavar="TIME", help="for the seeds that are added, such as 30m or 2h")
    given: argparse.Namespace = parser.parse_args(options)
    if given.budget and not given.until_decided:
        parser.error("--budget is for the seeds that --until_decided adds: give both")
    if given.workers < 1:
        parser.error(f"--workers is {given.workers}: use a whole number from 1 up")

    from lab.studies import engine, start
    from lab.studies.storage import open_storage
    from lab.studies.study_file import Study, read_study

    chosen = read_study(Path(given.file).expanduser(), given.quick)
    engine.check_size(chosen, given.allow_large)
    study_dir = Path(given.study_dir or Path("runs") / "studies" / engine.study_name(chosen)).expanduser()
    chosen = start.as_begun(chosen, study_dir)
    if given.dry_run:
        start.check_options(chosen)
        start.dry_run(chosen, study_dir)
        return
    is_new = not (study_dir / "study.yaml").is_file()
    if is_new:
        if given.storage:
            open_storage(given.storage, study_dir)  # fail early if it cannot be reached
        start.check_options(chosen)
    command = command_line("study", *options)
    start.prepare(chosen, study_dir, command)

    def run_study(some: Study, folder: Path) -> int:
        return start.run_study(some, folder, given.workers, given.storage, given.retry_failed)

    if given.until_decided:
        from lab.commands.until_decided import until_decided
        from lab.studies.added_seeds import hours_of

        budget = hours_of(given.budget) if given.budget else math.inf
        sys.exit(until_decided(chosen, study_dir, budget, command, run_study))
    sys.exit(run_study(chosen, study_dir))
