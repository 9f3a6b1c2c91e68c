"""fit, validate, test and predict: LightningCLI with run folders, tracking and pictures."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml
from lightning_fabric.utilities.seed import reset_seed
from pytorch_lightning import Callback, LightningDataModule, LightningModule, Trainer
from pytorch_lightning.utilities import rank_zero_only
from pytorch_lightning.utilities.model_helpers import is_overridden

from lab.compat.class_changes import keep_only_what_was_set
from lab.compat.cuda_check import ask_nvml_only_with_a_gpu
from lab.compat.empty_hooks import keep_signatures, skip_empty_hooks
from lab.compat.whole_numbers import keep_whole_numbers
from lab.errors import UserError, UserFileError
from lab.outcome import ERROR_FILE
from lab.program import command_line, program
from lab.stops import end_if_asked
from lab.training import registry
from lab.training.callbacks import run_callbacks
from lab.training.changed_options import (
    RecordedOptions,
    changed_options,
    check_changes,
    print_changes,
    recorded_options,
)
from lab.training.checkpoint_io import with_atomic_checkpoints
from lab.training.checkpoints import carried, check_carried, check_checkpoint, check_weights, read_checkpoint
from lab.training.init_from import check_family, init_from
from lab.training.launchers import Launch, check_size, launch_of_children
from lab.training.mistakes import construction_mistake
from lab.training.next_steps import next_steps, results
from lab.training.optimizer_options import GivenOptimizerOptions
from lab.training.options_cli import OptionsCLI, needs_checkpoint
from lab.training.own_config import other_place
from lab.training.precision import check_precision, usable_precision
from lab.training.predictions import write_predictions
from lab.training.processes import Processes
from lab.training.quiet import quieten_libraries
from lab.training.run_folder import RunFolder, config_file, experiment_name
from lab.training.run_lock import RunLock
from lab.training.signatures import find_class
from lab.training.start import Start, described, settle
from lab.training.start import check_options as check_start_options
from lab.training.unprofiled import Unprofiled
from lightning_models.callbacks.run_summary import RunSummary
from lightning_models.tracking.metrics_file import MetricsFile
from lightning_models.tracking.wandb_runs import WandbOptions, close_wandb, start_wandb

DEFAULT_EPOCHS = 20  # where neither trainer.max_epochs nor max_steps nor max_time is given


def give_an_end(trainer: Any) -> None:
    """Put the default number of epochs into the trainer's options where nothing ends the run."""
    if trainer.max_epochs is None and trainer.max_steps == -1 and trainer.max_time is None:
        trainer.max_epochs = max(DEFAULT_EPOCHS, trainer.min_epochs or 0)


@dataclass
class Run:
    """What is known of a run while it is under way, and after it has failed."""

    folder: RunFolder | None = None
    config_file: Path | None = None  # with all options of the run
    options: Any = None  # the parsed ones
    trainer: Trainer | None = None
    processes: Processes = field(default_factory=lambda: Processes(Launch()))
    status: int = 0  # with which the command ends


class ProjectCLI(OptionsCLI):
    """LightningCLI in subclass mode: `--model GAN --data MNIST`, or a config file that names them.

    Args:
        args: the command (fit, validate, test or predict) and its options.
        callbacks: extra callbacks of the Trainer.
        run: where to record what is known of the run, also when it fails.

    Raises:
        UserError: for whatever is wrong with the options or with what is made from them.
    """

    def __init__(self, args: list[str], callbacks: Sequence[Callback] = (), run: Run | None = None) -> None:
        self.extra_callbacks, self.run_state = callbacks, run or Run()
        self.folder: RunFolder | None = None
        self.lock: RunLock | None = None  # on the run folder, until the run ends
        self.from_checkpoint: list[str] = []  # options of the data that come from the checkpoint
        quieten_libraries()
        ask_nvml_only_with_a_gpu()
        keep_whole_numbers()
        keep_only_what_was_set()
        try:
            super().__init__(
                args,
                model_class=LightningModule,
                datamodule_class=LightningDataModule,
                subclass_mode_model=True,
                subclass_mode_data=True,
                auto_configure_optimizers=False,  # modules define their own
                save_config_callback=None,  # the run folder's config.yaml is written below
                seed_everything_default=0,
                trainer_defaults={"num_sanity_val_steps": 0, "enable_model_summary": False},
            )
        except BaseException as error:
            if self.run_state.folder is not None:
                self.run_state.folder.remove_unless_results()
            if self.has_own_config and isinstance(error, UserFileError):
                raise UserFileError(f"{error} {other_place(self.options.ckpt_path)}") from error
            raise
        finally:
            if self.lock is not None:
                self.lock.release()

    def before_instantiate_classes(self) -> None:
        """Check the folder and the checkpoint before anything expensive, and settle the folder's name."""
        options, command = self.options, str(self.subcommand)
        self.run_state.options = options
        for name in ("run_dir", "ckpt_path", "init_from"):
            if options[name] is not None:
                options[name] = os.path.expanduser(options[name])
        check_start_options(options, command)
        check_size(self.run_state.processes.launch, options.trainer.devices, options.trainer.num_nodes)
        model = find_class(options.model.class_path, LightningModule)
        check_pair(model, find_class(options.data.class_path, LightningDataModule))
        check_precision(options.trainer.precision, model)
        give_an_end(options.trainer)
        if options.resume:  # its folder knows the checkpoint
            self.settle_start()
        if options.ckpt_path is not None:
            check_checkpoint(options.ckpt_path, options.model.class_path)
            self.take_from_checkpoint()
        elif command != "fit":
            raise UserError(needs_checkpoint(str(command)))
        if command == "fit" and (options.resume or options.ckpt_path is not None):
            self.compare_with_earlier_part()
        if self.starts_from_another():
            check_family(options.init_from, model)
        if not options.resume:
            self.settle_start()
        self.run_state.folder = self.folder  # what was wrong up to here is no error of the run
        if self.start.is_complete:
            self.forget_error()
            if is_first_process():
                print(described(self.start))
            raise SystemExit(0)

    def starts_from_another(self) -> bool:
        """Whether this run is to get the weights of `init_from`; a resumed one has got them already."""
        options = self.options
        return self.subcommand == "fit" and options.init_from is not None and options.ckpt_path is None

    def settle_start(self) -> None:
        """Find or make the run's folder in the first process, and tell the others."""
        options = self.options
        experiment = experiment_name(
            [str(path) for path in self.config_files], options.model.class_path, options.data.class_path
        )

        def decide() -> dict[str, Any]:
            start, self.folder, self.lock = settle(options, str(self.subcommand), experiment)
            return asdict(start)

        self.start = Start(**self.run_state.processes.share(decide))
        if self.folder is None:
            self.folder = RunFolder(Path(self.start.run_dir), is_new=False, writes=False)
        options.run_dir, options.ckpt_path = self.start.run_dir, self.start.ckpt_path

    def take_from_checkpoint(self) -> None:
        """Give the data what the checkpoint knows and the user has not set, such as its vocabulary."""
        data_options = self.options.data.init_args
        for name, value in carried(self.options.ckpt_path).items():
            if name in data_options and data_options[name] is None:
                data_options[name] = list(value)
                self.from_checkpoint.append(name)

    def compare_with_earlier_part(self) -> None:
        """Print which options differ from those that the run had before; refuse those that must not."""
        path = self.options.ckpt_path or str(Path(self.options.run_dir) / "checkpoints" / "last.ckpt")
        checkpoint = read_checkpoint(path) if self.options.ckpt_path is not None else {}
        before = recorded_options(checkpoint, path)
        if before is not None:
            now = yaml.safe_load(self.options_text())
            changes = changed_options({"init_from": None, **before}, now)
            check_changes(changes, now)
            print_changes(changes, now)
        last_epoch, epochs = checkpoint.get("epoch"), self.options.trainer.max_epochs
        if isinstance(last_epoch, int) and isinstance(epochs, int) and -1 < epochs < last_epoch:
            raise UserError(
                f"{path} is of epoch {last_epoch + 1}, but --trainer.max_epochs is {epochs}: give more to go on"
            )

    def instantiate_classes(self) -> None:
        """Make data, model and trainer; what a checkpoint holds must fit the model."""
        try:
            super().instantiate_classes()
        except Exception as error:
            if (mistake := construction_mistake(error, self.options.as_dict())) is None:
                raise
            raise mistake from error
        if self.subcommand == "predict" and not is_overridden("predict_step", self.model):
            raise UserError(f"a {type(self.model).__name__} makes no predictions: `{program()} sample` generates")
        if self.options.ckpt_path is not None:
            check_carried(self.options.ckpt_path, self.model, self.options.data.init_args)
            check_weights(self.options.ckpt_path, self.model)

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """The trainer with this project's loggers and callbacks; those of the config come on top."""
        options = self.options
        run_dir = Path(options.run_dir)
        if options.trainer.logger is None:
            kwargs["logger"] = MetricsFile(run_dir)
        if self.subcommand != "fit":
            kwargs["enable_checkpointing"] = False
        if options.quiet:
            kwargs["enable_progress_bar"] = False
        self.summary = RunSummary(command_line(*self.arguments), options.seed_everything)
        trainer = self.run_state.trainer = super().instantiate_trainer(default_root_dir=run_dir, **kwargs)
        keep_signatures(self.model)
        skip_empty_hooks([*trainer.callbacks, self.model])  # type: ignore[attr-defined]
        return trainer

    def complete_callbacks(self, config: dict[str, Any], callbacks: list[Callback]) -> list[Callback]:
        """Add those of every run; the precision is one that the machine computes in."""
        config["precision"] = usable_precision(config.get("precision"), config.get("accelerator", "auto"))
        config["profiler"] = config.get("profiler") or Unprofiled()
        config["plugins"] = with_atomic_checkpoints(config.get("plugins"))
        kept = [RecordedOptions(self.options_text()), GivenOptimizerOptions()] if self.subcommand == "fit" else []
        return run_callbacks(
            self.model,
            [self.summary, *kept, *self.extra_callbacks, *callbacks],
            shows_progress=config.get("enable_progress_bar") is not False,
            trains=self.subcommand == "fit",
            checkpoint_dir=Path(self.options.run_dir) / "checkpoints"
            if self.subcommand == "fit" and config.get("enable_checkpointing") is not False
            else None,
        )

    def options_text(self) -> str:
        """Every option as in `config.yaml`, without what only this start has: config files and the checkpoint."""
        stored = self.options.clone()
        stored.ckpt_path = None
        stored.config = None
        stored.resume = False
        for name in self.from_checkpoint:
            stored.data.init_args[name] = None
        return str(self.command_parser(str(self.subcommand)).dump(stored, skip_none=False))

    def write_config(self, run_dir: Path) -> Path | None:
        """Write every option to `config.yaml`; a resumed run whose options differ keeps both files.

        Returns the file if it is new.
        """
        if not is_first_process():
            return None
        text = self.options_text()
        path = self.run_state.config_file = config_file(run_dir, text)
        is_new = not path.exists()
        path.write_text(text)
        return path if is_new else None

    def run_subcommand(self, subcommand: str) -> None:
        """Run the command, with its config beside the results."""
        new_config = self.write_config(Path(self.options.run_dir))
        self.meet_others()
        self.forget_error()
        reset_seed()  # as Lightning does for several processes: then one process draws the same noise
        try:
            if self.starts_from_another():
                init_from(self.options.init_from, self.model)
            if subcommand == "fit" and self.options.trainer.logger is None:
                start_wandb(self.trainer, WandbOptions(**self.options.wandb), self.resolved_config())
            super().run_subcommand(subcommand)
        except BaseException as error:
            close_wandb(self.trainer)
            if isinstance(error, UserError) and new_config is not None and not self.summary.trained:
                new_config.unlink()  # these options were refused, and nothing was done with them
            raise

    def forget_error(self) -> None:
        """Remove the error of an earlier start of this run."""
        if is_first_process():
            (Path(self.options.run_dir) / ERROR_FILE).unlink(missing_ok=True)

    def meet_others(self) -> None:
        """Wait for the other processes of the run; those that Lightning is about to start know where to find this."""
        run = self.run_state
        if run.processes.launch.launcher is None and self.trainer.world_size > 1 and self.trainer.num_nodes == 1:
            run.processes = Processes(launch_of_children(self.trainer.world_size), is_started=False)
            run.processes.share(lambda: asdict(self.start))
        run.processes.close = lambda: close_wandb(self.trainer)
        run.processes.meet()
        end_if_asked()

    def predict(self, model: LightningModule, datamodule: LightningDataModule, **kwargs: Any) -> None:
        """Write `predictions.csv`: a row an input, in order, with the columns that the model's predict_step gives."""
        if self.trainer.world_size > 1:
            raise UserError("predict keeps the order of its input on one device only: --trainer.devices 1")
        batches: Any = self.trainer.predict(model, datamodule=datamodule, **kwargs) or []
        path = Path(self.options.run_dir) / "predictions.csv"
        num_rows = write_predictions(path, batches, getattr(datamodule, "predict_names", None))
        print(f"predictions  {path} ({num_rows:,} rows)")

    def after_fit(self) -> None:
        """Print how good the samples are, where everything is, and what to try next."""
        tracking = close_wandb(self.trainer)
        if self.trainer.is_global_zero:
            assert self.run_state.config_file is not None
            table = self.summary.quality_table(self.trainer)
            lines = [table, ""] if table else []
            lines += results(Path(self.options.run_dir), tracking, self.summary.trained)
            lines += next_steps(self.run_state.config_file, self.trainer, self.model, self.options)
            print("\n".join(lines))

    def after_validate(self) -> None:
        """Write the numbers beside the config."""
        self.summary.write(self.trainer, self.model)
        if self.trainer.is_global_zero:
            if table := self.summary.quality_table(self.trainer):
                print(table)
            print(f"summary      {Path(self.options.run_dir) / 'summary.json'}")

    after_test = after_validate


def check_pair(model: type, data: type) -> None:
    """Raise a UserError if the model cannot learn from this project's data of that kind; others' are not known."""
    for family, kinds in registry.LEARNS_FROM.items():
        if issubclass(model, family) and issubclass(data, registry.DATA) and not issubclass(data, kinds):
            fitting = ", ".join(kind.__name__ for kind in kinds)
            raise UserError(f"a {model.__name__} cannot learn from {data.__name__}: choose --data {fitting}")


def is_first_process() -> bool:
    """Whether this process writes the files: rank 0, as Lightning found it in the environment."""
    return getattr(rank_zero_only, "rank", 0) == 0
