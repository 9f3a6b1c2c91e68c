"""The options of fit, validate, test and predict, and how they are read."""

from typing import Any, NoReturn

from pytorch_lightning import Trainer
from pytorch_lightning.cli import LightningArgumentParser

from lab.compat.lightning_cli import OpenLightningCLI
from lab.errors import UserError
from lab.training import registry
from lab.training.given import read_given
from lab.training.mistakes import parser_message, tidy
from lab.training.numbers_in_range import check_numbers
from lab.training.option_checks import check_names
from lab.training.own_config import with_own_config
from lightning_models.tracking.wandb_runs import WandbOptions


class Parser(LightningArgumentParser):
    """A parser that raises what is wrong with a value instead of printing pages and exiting."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise it. The parser of a class is nested in others, which would put their text around it."""
        cause = ex
        while cause is not None and not isinstance(cause, ParserError):
            cause = cause.__cause__ or cause.__context__  # type: ignore[assignment]  # raised by parsers only
        raise cause or ParserError(message) from ex


class ParserError(Exception):
    """What jsonargparse says of an option."""


class OptionsCLI(OpenLightningCLI):
    """A LightningCLI that reads this project's options and raises a UserError for what is wrong with one.

    Args:
        args: the command (fit, validate, test or predict) and its options.
        kwargs: those of LightningCLI.
    """

    def __init__(self, args: list[str], **kwargs: Any) -> None:
        self.arguments = args
        self.has_own_config = False  # whether all that is not given comes from the checkpoint
        super().__init__(args=args, parser_class=Parser, **kwargs)

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]  # a static method, always called on self
        """The one that was asked for: adding the options of all four takes three times as long."""
        return {self.arguments[0]: super().subcommands()[self.arguments[0]]}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """The options beside those of the trainer, the model and the data."""
        parser.add_argument(
            "--run_dir",
            type=str | None,
            default=None,
            help="The folder that holds everything about the run; by default runs/<experiment>/<time>.",
        )
        parser.add_argument(
            "--resume",
            action="store_true",
            help="Go on with the run in --run_dir where it has an unfinished one, begin it where it has none.",
        )
        parser.add_argument(
            "--init_from",
            type=str | None,
            default=None,
            help="A checkpoint of the same family whose weights a new fit starts from, as far as they fit.",
        )
        parser.add_argument("--quiet", action="store_true", help="Write no progress bar, as suits a log file.")
        for name, callback in registry.CALLBACK_OPTIONS.items():
            parser.add_lightning_class_args(callback, name)
        parser.add_class_arguments(WandbOptions, "wandb")
        for name in registry.LINKED:
            parser.link_arguments(f"data.{name}", f"model.init_args.{name}", apply_on="instantiate")

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse what `main` was given, whatever is in sys.argv; names are checked before the parser sees them."""
        command, *words = args
        given = read_given(words)
        if command != "fit" and not given.config_files and not given.asks_for_help:
            if given.tree.get("ckpt_path") is None and "model" not in given.tree:
                raise UserError(needs_checkpoint(command))
            known = with_own_config(given, words)
            self.has_own_config, given = known is not given, known
        groups = option_groups(self.command_parser(command))
        if not given.asks_for_help:
            check_names(given, groups)
        try:
            self.config = parser.parse_args([command, *given.arguments])
        except ParserError as error:
            raise UserError(parser_message(str(error), given)) from error
        except UserError:
            raise
        except Exception as error:
            raise UserError(tidy(str(error)) or type(error).__name__) from error
        self.config_files = given.config_files
        check_numbers(self.config[self.config.subcommand].as_dict())

    @property
    def options(self) -> Any:
        """The parsed options of this command."""
        return self.config[self.subcommand]


def needs_checkpoint(command: str) -> str:
    """What to give to a command that trains nothing."""
    return f"{command} needs a checkpoint: --ckpt_path RUN/checkpoints/last.ckpt"


def option_groups(parser: LightningArgumentParser) -> dict[str, type | None]:
    """The options of the first level; of those that have options of their own, the class that takes them."""
    classes = {"trainer": Trainer, "wandb": WandbOptions, **registry.CALLBACK_OPTIONS}
    names = dict.fromkeys(key.partition(".")[0] for key in parser.get_defaults().as_dict())
    return {name: classes.get(name) for name in ("config", "model", "data", *names)}
