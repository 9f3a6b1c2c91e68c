"""report: one HTML file of what a folder of runs or a study holds."""

import argparse
from pathlib import Path

from lab.commands.parser import Parser
from lab.report.page import PAGE, write_page


def run(options: list[str]) -> None:
    """Write the page and print where it is."""
    parser = Parser("report", f"Write DIR/{PAGE}: tables, curves and pictures in one file.")
    parser.add_argument("folder", metavar="DIR", help="a run folder, a folder of runs, or a study's folder")
    given: argparse.Namespace = parser.parse_args(options)
    path = write_page(Path(given.folder).expanduser())
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
