"""The front door: `python cli.py fit -c configs/gan/digits.yaml`.

`main` is what the command calls; tests, studies and notebooks call it with a list of strings. Help and mistakes in the
command word are answered before PyTorch is imported, which takes five seconds.
"""

import difflib
import sys

COMMANDS = {
    "fit": "train a model; everything about the run goes into one folder",
    "validate": "measure a checkpoint on the validation data",
    "test": "measure a checkpoint on the test data",
    "predict": "write what a model says of each input to predictions.csv",
    "sample": "generate from a checkpoint: a grid of images, or text",
    "interpolate": "walk between two latent vectors of a checkpoint: a strip of images",
    "study": "run every trial of a study file; the same command again goes on with it",
    "report": "write one HTML page of a run, of a folder of runs or of a study",
}

HELP = """usage: python cli.py COMMAND [options]

Train, look at and compare the classic generative models.

commands:
{commands}

examples:
  python cli.py fit -c configs/gan/digits.yaml
  python cli.py fit --model WGANGP --data MNIST --trainer.max_epochs 10 --run_dir runs/first
  python cli.py fit -c runs/first/config.yaml --ckpt_path runs/first/checkpoints/last.ckpt    (resume)
  python cli.py validate -c runs/first/config.yaml --ckpt_path runs/first/checkpoints/last.ckpt
  python cli.py sample --ckpt_path runs/first/checkpoints/last.ckpt --output grid.png
  python cli.py report runs/first
  python cli.py study configs/studies/report5/width.yaml --quick --workers 2

`python cli.py COMMAND --help` lists the options of a command;
`python cli.py fit --model.help GAN` and `--data.help MNIST` those of a class.
"""


def main(args: list[str] | None = None) -> None:
    """Run one command, as given on the command line by default.

    Raises:
        SystemExit: with a status other than 0 after a mistake, which has been explained on stderr.
    """
    args = sys.argv[1:] if args is None else args
    if not args or args[0] in ("-h", "--help", "help"):
        print(HELP.format(commands="\n".join(f"  {name:12} {text}" for name, text in COMMANDS.items())))
        sys.exit(0 if args else 2)
    command, options = args[0], args[1:]
    if command not in COMMANDS:
        nearest = difflib.get_close_matches(command, COMMANDS, n=1)
        hint = f"did you mean '{nearest[0]}'?" if nearest else f"choose one of {', '.join(COMMANDS)}."
        print(f"error: there is no command '{command}': {hint}", file=sys.stderr)
        sys.exit(2)

    from lab.training.outcome import explained

    with explained():
        if command in ("sample", "interpolate"):
            from lab.commands.generate import generate

            generate(command, options)
        elif command == "study":
            from lab.commands.study import study

            study(options)
        elif command == "report":
            from lab.commands.report import report

            report(options)
        else:
            from lab.training.running import run_from_command_line

            run_from_command_line(command, options)


if __name__ == "__main__":
    main()
