"""The entry point of every command: `python cli.py fit -c configs/gan/digits.yaml`.

Help and a mistyped command are answered before PyTorch is imported, which takes seconds.
"""

import difflib
import importlib
import os
import sys

from lab.commands.table import COMMANDS
from lab.compat.late_packages import import_packages_late
from lab.errors import BUG, MISTAKE, UserError
from lab.outcome import explained
from lab.program import program
from lab.stops import STATUSES, StoppedAtOnce, Stops, deliver_held_signals
from lab.threads import settle_threads
from lightning_models.modules.class_paths import allowed

HELP = """usage: {program} COMMAND [options]

Train, inspect and compare classic generative and recurrent models.

commands:
{commands}

examples:
  {program} fit -c configs/gan/digits.yaml
  {program} fit --model WGANGP --data MNIST --trainer.max_epochs 10 --run_dir runs/first
  {program} fit -c runs/first/config.yaml --ckpt_path runs/first/checkpoints/last.ckpt    (resume)
  {program} validate --ckpt_path runs/first/checkpoints/last.ckpt
  {program} sample --ckpt_path runs/first/checkpoints/last.ckpt --output grid.png
  {program} report runs/first
  {program} study configs/studies/report5/width.yaml --quick --workers 2

`{program} COMMAND --help` lists the options of a command;
`{program} fit --model.help GAN` and `--data.help MNIST` those of a class.
`--traceback` after any command prints the traceback of an error as well as its message;
`--threads N` lets it compute with N threads;
`--allow PACKAGE` lets it import a package of your own that a checkpoint names.
"""


def main(args: list[str] | None = None) -> None:
    """Run one command, by default the one in sys.argv.

    Raises:
        SystemExit: after a user's mistake (status 2), whose message is on stderr; after Ctrl-C (130), SIGTERM (143) or
            SIGUSR1 (138); after a failed study (1); 1 in those of several processes that srun started beside the first
            one of a run, whatever stops them. A bug propagates with its traceback; the interpreter then ends with
            status 1.
    """
    words = list(sys.argv[1:] if args is None else args)
    with Stops(at_once=True, to_the_end=args is None):  # before anything that takes seconds to import
        try:
            deliver_held_signals()
            run(words)
        except SystemExit as stop:
            rank = os.environ.get("SLURM_PROCID", os.environ.get("RANK", "0"))
            if isinstance(stop, StoppedAtOnce) and rank == "0":  # of several processes one says it
                print(STATUSES[int(str(stop.code))], file=sys.stderr)
            if stop.code in STATUSES and "SLURM_PROCID" in os.environ and rank != "0" and words[0] != "study":
                # The first one tells why the run ends. srun stops the others when that has failed, and ends with the
                # highest status of all, by which configs/cluster/requeue.sh would take it for a stop from outside.
                raise SystemExit(BUG) from None
            raise


def run(args: list[str]) -> None:
    """See `main`."""
    if not args or args[0] in ("-h", "--help", "help"):
        print(
            HELP.format(program=program(), commands="\n".join(f"  {name:12} {text}" for name, text in COMMANDS.items()))
        )
        sys.exit(0 if args else MISTAKE)
    command, options = args[0], args[1:]
    if command not in COMMANDS:
        nearest = difflib.get_close_matches(command, COMMANDS, n=1)
        hint = f"did you mean '{nearest[0]}'?" if nearest else f"choose one of {', '.join(COMMANDS)}."
        print(f"error: there is no command '{command}': {hint}", file=sys.stderr)
        sys.exit(MISTAKE)
    with explained(show_traceback="--traceback" in options):
        options = settle_threads([option for option in options if option != "--traceback"])
        options, packages = without_allowed(options)
        with allowed(packages):
            import_packages_late()
            module = importlib.import_module(f"lab.commands.{command}")
            module.run(options)


def without_allowed(options: list[str]) -> tuple[list[str], list[str]]:
    """The options without every `--allow PACKAGE`, and these packages; see `lightning_models.modules.class_paths`.

    Raises:
        UserError: for one without a package.
    """
    kept, packages, words = [], [], iter(options)
    for word in words:
        name, has_value, value = word.partition("=")
        if name != "--allow":
            kept.append(word)
            continue
        package = value if has_value else next(words, "")
        if not package.replace(".", "").isidentifier():
            raise UserError(f"--allow is '{package}': expected the name of a Python package, such as my_package")
        packages.append(package.partition(".")[0])
    return kept, packages
