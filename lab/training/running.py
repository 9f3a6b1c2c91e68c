"""Runs fit, validate, test or predict: restarts after alarms, Ctrl-C and SIGTERM, errors."""

import atexit
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from pytorch_lightning import Callback
from pytorch_lightning.utilities.exceptions import SIGTERMException

from lab.errors import BUG, INTERRUPTED, MISTAKE, TERMINATED, UserError
from lab.outcome import write_traceback
from lab.stops import STATUSES, StoppedAtOnce, Stops, asked
from lab.training.cli import ProjectCLI, Run, is_first_process
from lab.training.launchers import MEETING, find_launch, name_the_first_host
from lab.training.mistakes import run_mistake
from lab.training.next_steps import how_to_resume
from lab.training.processes import Processes
from lab.training.run_folder import unused_folder
from lightning_models.callbacks.alarm_rules import RestartAskedError


def run_from_command_line(command: str, options: list[str]) -> None:
    """`run_trainer`; a training that is stopped from outside prints how to resume it, and an error is stored.

    Raises:
        UserError: for a mistake of the user's, wherever it was found.
        SystemExit: see `run_trainer`.
    """
    run = Run()
    atexit.register(lambda: run.processes.leave(run.status))  # after the message, or the traceback
    try:
        launch = find_launch()
        name_the_first_host(launch)
        run.processes = Processes(launch)
        run_trainer(command, options, run=run)
    except SystemExit as stop:
        run.status = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else BUG
        says = bool(run.status) and run.processes.speaks(run.status) and is_first_process()
        if says and run.status in STATUSES and not isinstance(stop, StoppedAtOnce):
            resume = how_to_resume(run.config_file, run.options.resume) if run.config_file and command == "fit" else ""
            print(STATUSES[run.status] + (f"; {resume}" if resume else ""), file=sys.stderr)
        if run.status in STATUSES and run.processes.is_started_by_lightning:
            raise SystemExit(0) from None  # for another status Lightning would kill the first process
        raise
    except Exception as error:
        mistake = error if run.options is None else run_mistake(error, run.options.as_dict())
        run.status = MISTAKE if isinstance(mistake, UserError) else BUG
        if not run.processes.speaks(run.status, settle=0.0 if run.status == MISTAKE else 1.0):
            raise SystemExit(run.processes.status or run.status) from None
        if run.folder is not None:
            write_traceback(error, run.folder.path)
        if run.status == BUG or mistake is error or mistake is None:
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
        finally:
            os.environ.pop(MEETING, None)  # of this run's processes


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
