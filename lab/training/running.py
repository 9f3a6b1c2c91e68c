"""Running fit, validate, test or predict: restarts that an alarm asks for, and stops from outside."""

import sys
from collections.abc import Sequence
from pathlib import Path

from pytorch_lightning import Callback
from pytorch_lightning.utilities.exceptions import SIGTERMException

from lab.compat.class_changes import keep_only_what_was_set
from lab.errors import INTERRUPTED, TERMINATED
from lab.training.cli import ProjectCLI, is_first_process
from lab.training.next_steps import how_to_go_on
from lab.training.quiet import quieten_libraries
from lab.training.run_folder import unused_folder
from lightning_models.callbacks.alarm_rules import RestartAskedError

STOPPED = {TERMINATED: "stopped by SIGTERM", INTERRUPTED: "interrupted"}


def run_from_command_line(command: str, options: list[str]) -> None:
    """`run_trainer`; if a training is stopped from outside, a line on stderr says how to go on with it."""
    try:
        run_trainer(command, options)
    except SystemExit as stop:
        if stop.code in STOPPED and is_first_process():
            cli = ProjectCLI.current
            config = cli.config_file if cli is not None and command == "fit" else None
            print(STOPPED[stop.code] + (f"; {how_to_go_on(config)}" if config else ""), file=sys.stderr)
        raise


def run_trainer(command: str, options: list[str], callbacks: Sequence[Callback] = ()) -> None:
    """Run `command` (fit, validate, test or predict) with its command line options; `callbacks` look on, too.

    Raises:
        SystemExit: with status 143 after SIGTERM and 130 after Ctrl-C.
    """
    quieten_libraries()
    keep_only_what_was_set()
    try:
        with_restarts(command, options, callbacks)
    except SIGTERMException:  # an exit with status 0 otherwise, although the run is not finished
        sys.exit(TERMINATED)
    except SystemExit as stop:
        if isinstance(stop.__context__, KeyboardInterrupt):  # Lightning makes an exit with status 1 of it
            sys.exit(INTERRUPTED)
        raise


def with_restarts(command: str, options: list[str], callbacks: Sequence[Callback]) -> None:
    """Run it, and again with the next seed in a folder beside the first one as often as an alarm asks for it."""
    restarts, first = 0, Path()
    while True:
        try:
            ProjectCLI([command, *options], callbacks)
            return
        except RestartAskedError as alarm:
            cli = ProjectCLI.current
            assert cli is not None
            if restarts == cli.options.alarms.restarts:
                raise
            restarts += 1
            if restarts == 1:
                first = Path(cli.options.run_dir)
            seed = int(cli.options.seed_everything) + 1
            folder = unused_folder(Path(f"{first}-restart{restarts}"), is_first_process()).path
            print(f"{alarm}\nrestart {restarts} with seed {seed} in {folder}", file=sys.stderr)
            options = [*options, f"--seed_everything={seed}", f"--run_dir={folder}", "--ckpt_path=null"]
