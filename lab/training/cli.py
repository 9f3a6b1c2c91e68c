"""fit, validate, test and predict: LightningCLI with run folders, tracking and pictures."""

import csv
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning_fabric.utilities.seed import reset_seed
from pytorch_lightning import Callback, LightningDataModule, LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI
from pytorch_lightning.utilities import rank_zero_only
from pytorch_lightning.utilities.model_helpers import is_overridden

from lab.compat.whole_numbers import keep_whole_numbers
from lab.errors import UserError
from lab.training import registry
from lab.training.checkpoints import carried, check_carried, check_checkpoint, check_weights
from lab.training.next_steps import command_line, next_steps
from lab.training.precision import check_precision, usable_precision
from lab.training.run_folder import (
    RunFolder,
    config_file,
    default_run_folder,
    experiment_name,
    given_run_folder,
    unused_folder,
)
from lab.training.usage import ExplainingParser
from lightning_models.callbacks.alarms import Alarms
from lightning_models.callbacks.best_checkpoint import BestCheckpoint
from lightning_models.callbacks.image_samples import ImageSamples
from lightning_models.callbacks.progress import ProgressBar
from lightning_models.callbacks.random_state import RandomState
from lightning_models.callbacks.resume import ResumeAfterEpoch
from lightning_models.callbacks.run_summary import RunSummary
from lightning_models.callbacks.sample_quality import SampleQuality
from lightning_models.callbacks.stopped import CheckpointWhenStopped
from lightning_models.callbacks.text_samples import TextSamples
from lightning_models.callbacks.throughput import Throughput
from lightning_models.tracking.wandb_runs import WandbOptions, close_wandb, make_loggers

DEFAULT_EPOCHS = 20  # where neither trainer.max_epochs nor max_steps nor max_time is given
HIGHEST_SEED = 2**32 - 1


def give_an_end(trainer: Any) -> None:
    """Put the default number of epochs into the trainer's options where nothing ends the run."""
    if trainer.max_epochs is None and trainer.max_steps == -1 and trainer.max_time is None:
        trainer.max_epochs = DEFAULT_EPOCHS


class ProjectCLI(LightningCLI):
    """LightningCLI in subclass mode: `--model GAN --data MNIST`, or a config file that names them."""

    current: "ProjectCLI | None" = None  # the one at work, for what is decided after it has failed

    def __init__(self, args: list[str], callbacks: Sequence[Callback] = ()) -> None:
        self.arguments, self.extra_callbacks = args, callbacks
        ProjectCLI.current = self
        keep_whole_numbers()
        self.carried: list[str] = []  # options of the data that come from the checkpoint
        self.folder: RunFolder | None = None
        self.config_file: Path | None = None  # with all options of this run
        try:
            super().__init__(
                LightningModule,
                LightningDataModule,
                subclass_mode_model=True,
                subclass_mode_data=True,
                auto_configure_optimizers=False,  # modules define their own
                save_config_callback=None,  # the run folder's config.yaml is written below
                seed_everything_default=0,
                parser_class=ExplainingParser,
                trainer_defaults={"num_sanity_val_steps": 0, "enable_model_summary": False},
                args=args,
            )
        except BaseException:
            if self.folder is not None:
                self.folder.remove_unless_results()
            raise

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]  # a static method, always called on self
        """The one that was asked for: to make the options of all four takes three times as long."""
        command = self.arguments[0]
        return {command: LightningCLI.subcommands()[command]}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """The options beside those of the trainer, the model and the data."""
        parser.add_argument(
            "--run_dir",
            type=str | None,
            default=None,
            help="The folder that holds everything about the run; by default runs/<experiment>/<time>.",
        )
        parser.add_argument("--quiet", action="store_true", help="Write no progress bar, as suits a log file.")
        parser.add_lightning_class_args(ImageSamples, "samples")
        parser.add_lightning_class_args(TextSamples, "texts")
        parser.add_lightning_class_args(SampleQuality, "quality")
        parser.add_lightning_class_args(Alarms, "alarms")
        parser.add_class_arguments(WandbOptions, "wandb")
        for name in registry.LINKED:
            parser.link_arguments(f"data.{name}", f"model.init_args.{name}", apply_on="instantiate")

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse what `main` was given, whatever stands in sys.argv."""
        ExplainingParser.arguments, ExplainingParser.explained = list(args), None
        try:
            self.config = parser.parse_args(args)
        except UnicodeDecodeError as error:
            raise UserError(f"a config file is not UTF-8 ({error}): save it as UTF-8") from error
        seed = self.config[self.config.subcommand].seed_everything
        if seed is not True and seed is not False and not 0 <= seed <= HIGHEST_SEED:
            raise UserError(f"--seed_everything is {seed}: use a whole number from 0 to {HIGHEST_SEED}")
        given = {argument.partition("=")[0] for argument in args}
        for option in (f"--model.{name}" for name in registry.LINKED):
            if option in given:
                raise UserError(f"{option} follows from the data and cannot be set: change the data, or leave it out")

    def _parse_ckpt_path(self) -> None:
        """Leave the config as it is: Lightning would let the checkpoint's options override the command line's."""

    @property
    def options(self) -> Any:
        """The parsed options of this command."""
        return self.config[self.subcommand]

    def before_instantiate_classes(self) -> None:
        """Check the folder and the checkpoint before anything expensive, and settle the folder's name."""
        options, command = self.options, self.subcommand
        model = imported(options.model.class_path)
        check_pair(model, imported(options.data.class_path))
        check_precision(options.trainer.precision, model)
        if options.ckpt_path is not None:
            check_checkpoint(options.ckpt_path, options.model.class_path)
            self.take_from_checkpoint()
        elif command != "fit":
            raise UserError(f"{command} needs a checkpoint: --ckpt_path RUN/checkpoints/last.ckpt")
        writes = is_first_process()
        if command != "fit":
            run_dir = Path(options.run_dir or self.default_folder(writes=False).path)
            self.folder = unused_folder(run_dir / str(command), writes)
        elif options.run_dir is None:
            self.folder = self.default_folder(writes)
        else:
            self.folder = given_run_folder(Path(options.run_dir), options.ckpt_path, writes)
        options.run_dir = str(self.folder.path)
        give_an_end(options.trainer)

    def default_folder(self, writes: bool) -> RunFolder:
        """The one that is named after the config or, without one, after model and data."""
        options = self.options
        config_files = [str(path) for path in options.config or []]
        name = experiment_name(config_files, options.model.class_path, options.data.class_path)
        return default_run_folder(name, writes)

    def take_from_checkpoint(self) -> None:
        """Give the data what the checkpoint knows and the user has not set, such as its vocabulary."""
        data_options = self.options.data.init_args
        for name, value in carried(self.options.ckpt_path).items():
            if name in data_options and data_options[name] is None:
                data_options[name] = list(value)
                self.carried.append(name)

    def instantiate_classes(self) -> None:
        """Make data, model and trainer; what a checkpoint holds must fit the model."""
        super().instantiate_classes()
        if self.subcommand == "predict" and not is_overridden("predict_step", self.model):
            raise UserError(f"a {type(self.model).__name__} makes no predictions: `python cli.py sample` generates")
        if self.options.ckpt_path is not None:
            check_carried(self.options.ckpt_path, self.model)
            check_weights(self.options.ckpt_path, self.model)

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """The trainer with this project's loggers and callbacks; those of the config come on top."""
        options = self.options
        run_dir = Path(options.run_dir)
        self._dump_config()
        if options.trainer.logger is None:
            wandb_options = WandbOptions(**options.wandb) if self.subcommand == "fit" else WandbOptions("disabled")
            kwargs["logger"] = make_loggers(run_dir, wandb_options, self.config_dump)
        if self.subcommand != "fit":
            kwargs["enable_checkpointing"] = False
        if options.quiet:
            kwargs["enable_progress_bar"] = False
        self.summary = RunSummary(command_line(*self.arguments), options.seed_everything)
        return super().instantiate_trainer(default_root_dir=run_dir, **kwargs)

    def _instantiate_trainer(self, config: dict[str, Any], callbacks: list[Callback]) -> Trainer:
        """Add what every run has. Checkpoints come last: what the others keep belongs into them."""
        run_dir = Path(self.options.run_dir)
        config["precision"] = usable_precision(config.get("precision"), config.get("accelerator", "auto"))
        callbacks = [RandomState(), ResumeAfterEpoch(), Throughput(), self.summary, *self.extra_callbacks, *callbacks]
        for family, made in registry.CALLBACKS.items():
            if isinstance(self.model, family):
                callbacks += [callback() for callback in made]
        if config.get("enable_progress_bar") is not False:
            callbacks.append(ProgressBar(refresh_rate=20))
        if self.subcommand == "fit" and config.get("enable_checkpointing") is not False:
            folder = run_dir / "checkpoints"
            callbacks += checkpoints(folder, getattr(self.model, "monitor", None))
            callbacks.append(CheckpointWhenStopped(folder / "last.ckpt"))
        return super()._instantiate_trainer(config, callbacks)

    def write_config(self, run_dir: Path) -> None:
        """`config.yaml`, all of it; a resumed run whose options differ keeps both."""
        if not is_first_process():
            return
        kept = self.options.clone()
        kept.ckpt_path = None
        for name in self.carried:
            kept.data.init_args[name] = None
        text = self._parser(self.subcommand).dump(kept, skip_none=False)
        self.config_file = config_file(run_dir, text)
        self.config_file.write_text(text)

    def _run_subcommand(self, subcommand: str) -> None:
        """Run it, with its config beside what comes out."""
        self.write_config(Path(self.options.run_dir))
        reset_seed()  # as Lightning does for several processes: then one process draws the same noise
        try:
            super()._run_subcommand(subcommand)
        except BaseException:
            close_wandb(self.trainer)
            raise

    def predict(self, model: LightningModule, datamodule: LightningDataModule, **kwargs: Any) -> None:
        """Write `predictions.csv`: a row an input, in order, with the columns that the model's predict_step gives."""
        if self.trainer.world_size > 1:
            raise UserError("predict keeps the order of its input on one device only: --trainer.devices 1")
        batches: Any = self.trainer.predict(model, datamodule=datamodule, **kwargs) or []
        path = Path(self.options.run_dir) / "predictions.csv"
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            number = 0
            for batch in batches:
                if number == 0:
                    writer.writerow(["id", *batch])
                columns = [column if isinstance(column, list) else column.tolist() for column in batch.values()]
                for row in zip(*columns, strict=True):
                    writer.writerow([number, *row])
                    number += 1
        print(f"predictions  {path} ({number:,} rows)")

    def after_fit(self) -> None:
        """Say where everything is, and what to try next."""
        tracking = close_wandb(self.trainer)
        if not self.trainer.is_global_zero:
            return
        run_dir = Path(self.options.run_dir)
        lines = [f"run folder   {run_dir}"]
        for kind, pattern in (("grid", "grid-*.png"), ("text", "text-*.txt")):
            if made := sorted((run_dir / "samples").glob(pattern)):
                lines.append(f"last {kind}    {made[-1]}")
        lines += [f"metrics      {run_dir / 'metrics.csv'}", f"summary      {run_dir / 'summary.json'}"]
        if tracking:
            lines.append(tracking)
        if not self.summary.trained:
            lines.append("Nothing was left to train: the limits of the run were reached before.")
        assert self.config_file is not None
        lines += next_steps(self.config_file, self.trainer, self.model, self.options)
        print("\n".join(lines))

    def after_validate(self) -> None:
        """Keep the numbers beside the config."""
        self.summary.write(self.trainer, self.model)
        if self.trainer.is_global_zero:
            if table := self.summary.quality_table(self.trainer):
                print(table)
            print(f"summary      {Path(self.options.run_dir) / 'summary.json'}")

    after_test = after_validate


def imported(class_path: str) -> type:
    """The class of that full name, which the parser has found already."""
    module_name, _, class_name = class_path.rpartition(".")
    found: type = getattr(importlib.import_module(module_name), class_name)
    return found


def check_pair(model: type, data: type) -> None:
    """Raise a UserError if the model cannot learn from this project's data of that kind; others' are not known."""
    for family, kinds in registry.LEARNS_FROM.items():
        if issubclass(model, family) and issubclass(data, registry.DATA) and not issubclass(data, kinds):
            fitting = ", ".join(kind.__name__ for kind in kinds)
            raise UserError(f"a {model.__name__} cannot learn from {data.__name__}: choose --data {fitting}")


def is_first_process() -> bool:
    """Whether this process writes the files: rank 0, as Lightning found it in the environment."""
    return getattr(rank_zero_only, "rank", 0) == 0


def checkpoints(folder: Path, monitor: tuple[str, str] | None) -> list[Callback]:
    """`last.ckpt` after every epoch and, where the model names what it is judged by, `best.ckpt`."""
    kept: list[Callback] = [ModelCheckpoint(folder, "last", enable_version_counter=False, save_on_train_epoch_end=True)]
    if monitor is not None:
        metric, mode = monitor
        # The quality of samples is measured after epochs, everything else in a validation.
        kept.insert(0, BestCheckpoint(folder, metric, mode, save_on_train_epoch_end=metric == "val/fid"))
    return kept
