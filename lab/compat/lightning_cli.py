"""LightningCLI with public names for the steps that this project changes.

What: lets a subclass run a command itself, add callbacks to the Trainer, and read the parser and the resolved config of
the command. A checkpoint's hyperparameters do not override the command line.
Why: LightningCLI has hooks before and after a command (`before_fit`), but none around it; it appends callbacks in a
private method; and since 2.6 it lets the hyperparameters of `--ckpt_path` override options that the user typed.
Upstream: https://github.com/Lightning-AI/pytorch-lightning/issues/21116
Checked on: pytorch-lightning 2.6.5 and 2.6.6.
Test: tests/lab/compat/test_lightning_cli.py
"""

import enum
from typing import Any

import yaml
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI

# A default such as Timer's `interval: str = Interval.step`, which jsonargparse hands to PyYAML as it is.
yaml.SafeDumper.add_multi_representer(enum.Enum, lambda dumper, member: dumper.represent_str(str(member.value)))


class OpenLightningCLI(LightningCLI):
    """A LightningCLI with `run_subcommand`, `complete_callbacks`, `command_parser` and `resolved_config`."""

    def _parse_ckpt_path(self) -> None:
        """Leave the parsed options as they are."""

    def _run_subcommand(self, subcommand: str) -> None:
        self.run_subcommand(subcommand)

    def run_subcommand(self, subcommand: str) -> None:
        """Run the command (fit, validate, test or predict), with the hooks before and after it."""
        super()._run_subcommand(subcommand)

    def _instantiate_trainer(self, config: dict[str, Any], callbacks: list[Callback]) -> Trainer:
        return super()._instantiate_trainer(config, self.complete_callbacks(config, callbacks))

    def complete_callbacks(self, config: dict[str, Any], callbacks: list[Callback]) -> list[Callback]:
        """All callbacks that the Trainer gets besides those of its own option, in order.

        Args:
            config: the Trainer's arguments, which may be changed.
            callbacks: those that are options of the command line.
        """
        return callbacks

    def command_parser(self, command: str) -> LightningArgumentParser:
        """The parser of a command's options."""
        return self._parser(command)

    def resolved_config(self) -> dict[str, Any]:
        """Every option of the command as plain values, including those that are linked from the data."""
        text = self.parser.dump(self.config, skip_link_targets=False, skip_none=False, format="yaml")
        resolved: dict[str, Any] = yaml.safe_load(text)[self.subcommand]
        return resolved
