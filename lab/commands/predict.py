"""predict: write what a model predicts for each input."""

from lab.training.running import run_from_command_line


def run(options: list[str]) -> None:
    """Run the command with its command line options."""
    run_from_command_line("predict", options)
