"""Runs fit, validate, test or predict: restarts after alarms, Ctrl-C and SIGTERM, errors."""

import sys
from collections.abc import Sequence
from pathlib import Path

from pytorch_lightning import Callback
from pytorch_lightning.utilities.exceptions import SIGTERMException

from lab.errors import INTERRUPTED, TERMINATED
from lab.outcome import write_traceback
from lab.stops import STATUSES, Stops, asked
from lab.training.cli import ProjectCLI, Run, is_first_process
from lab.training.mistakes import run_mistake
from lab.training.next_steps import how_to_resume
from lab.training.run_folder import unused_folder
from lightning_models.callbacks.alarm_rules import RestartAskedError


def run_from_command_line(command: str, options: list[str]) -> None:
    """`run_trainer`; a training that is stopped from outside prints how to resume it, and an error is stored.

    Raises:
        UserError: for a mistake of the user's, wherever it was found.
        SystemExit: see `run_trainer`.
    """
    run = Run()
    try:
        run_trainer(command, options, run=run)
    except SystemExit as stop:
        if stop.code in STATUSES and is_first_process():
            resume = how_to_resume(run.config_file) if run.config_file and command == "fit" else None
            print(STATUSES[stop.code] + (f"; {resume}" if resume else ""), file=sys.stderr)
        raise
    except Exception as error:
        if run.folder is not None and is_first_process():
            write_traceback(error, run.folder.path)
        if run.options is None or (mistake := run_mistake(error, run.options.as_dict())) is None or mistake is error:
            raise
        raise mistake from error


def run_trainer(command: str, options: list[str], callbacks: Sequence[Callback] = (), run: Run | None = None) -> None:
    """Run `command` (fit, validate, test or predict) with its command line options.

    Args:
        command: of the Trainer.
        options: as typed behind it.
        callbacks: extra callbacks of the Trainer.
        run: where to record what is known of the run, also when it fails.

    Raises:
        SystemExit: with status 143 after SIGTERM, 138 after SIGUSR1 and 130 after Ctrl-C.
    """
    with Stops(at_once=command != "fit"):
        try:
            with_restarts(command, options, callbacks, run or Run())
        except SIGTERMException:  # otherwise the exit status would be 0, although the run is not finished
            sys.exit(asked() or TERMINATED)
        except SystemExit as stop:
            if isinstance(stop.__context__, KeyboardInterrupt):  # Lightning exits with status 1
                sys.exit(INTERRUPTED)
            raise


def with_restarts(command: str, options: list[str], callbacks: Sequence[Callback], run: Run) -> None:
    """Run it; after each alarm that asks for a restart, run it with the next seed in a folder beside the first one."""
    restarts, first = 0, Path()
    while True:
        try:
            ProjectCLI([command, *options], callbacks, run)
            return
        except RestartAskedError as alarm:
            if restarts == run.options.alarms.restarts:
                raise
            restarts += 1
            if restarts == 1:
                first = Path(run.options.run_dir)
            seed = int(run.options.seed_everything) + 1
            folder = unused_folder(Path(f"{first}-restart{restarts}"), is_first_process()).path
            print(f"{alarm}\nrestart {restarts} with seed {seed} in {folder}", file=sys.stderr)
            options = [*options, f"--seed_everything={seed}", f"--run_dir={folder}", "--ckpt_path=null"]
