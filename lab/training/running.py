"""Runs fit, validate, test or predict: restarts a training when an alarm asks for it, handles Ctrl-C and SIGTERM."""

import sys
from collections.abc import Sequence
from pathlib import Path

from pytorch_lightning import Callback
from pytorch_lightning.utilities.exceptions import SIGTERMException

from lab.compat.class_changes import keep_only_what_was_set
from lab.errors import INTERRUPTED, TERMINATED
from lab.training.cli import ProjectCLI, is_first_process
from lab.training.next_steps import how_to_resume
from lab.training.quiet import quieten_libraries
from lab.training.run_folder import unused_folder
from lightning_models.callbacks.alarm_rules import RestartAskedError

STOPPED = {TERMINATED: "stopped by SIGTERM", INTERRUPTED: "interrupted"}


def run_from_command_line(command: str, options: list[str]) -> None:
    """`run_trainer`; after Ctrl-C or SIGTERM, print the command that resumes the training on stderr."""
    try:
        run_trainer(command, options)
    except SystemExit as stop:
        if stop.code in STOPPED and is_first_process():
            cli = ProjectCLI.current
            config = cli.config_file if cli is not None and command == "fit" else None
            print(STOPPED[stop.code] + (f"; {how_to_resume(config)}" if config else ""), file=sys.stderr)
        raise


def run_trainer(command: str, options: list[str], callbacks: Sequence[Callback] = ()) -> None:
    """Run fit, validate, test or predict with its command line options.

    Args:
        command: One of the four.
        options: As typed.
        callbacks: Extra callbacks of the Trainer.

    Raises:
        SystemExit: with status 143 after SIGTERM and 130 after Ctrl-C.
    """
    quieten_libraries()
    keep_only_what_was_set()
    try:
        with_restarts(command, options, callbacks)
    except SIGTERMException:  # otherwise the exit status would be 0, although the run is not finished
        sys.exit(TERMINATED)
    except SystemExit as stop:
        if isinstance(stop.__context__, KeyboardInterrupt):  # Lightning exits with status 1
            sys.exit(INTERRUPTED)
        raise


def with_restarts(command: str, options: list[str], callbacks: Sequence[Callback]) -> None:
    """Run it; after each alarm that asks for a restart, run it with the next seed in a folder beside the first one."""
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
