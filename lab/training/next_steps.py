"""What is printed after a run: where its files are, and the commands that sample from, evaluate and resume it."""

from pathlib import Path
from typing import Any

from pytorch_lightning import LightningModule, Trainer

from lab.program import command_line
from lightning_models.language_model import CharLanguageModel
from lightning_models.modules.image_generator import ImageGenerator


def results(run_dir: Path, tracking: str | None, trained: bool) -> list[str]:
    """Lines that say where the files of a run are; `tracking`: where W&B has it, `trained`: whether anything was."""
    lines = [f"run folder   {run_dir}"]
    for kind, pattern in (("grid", "grid-*.png"), ("text", "text-*.txt")):
        if made := sorted((run_dir / "samples").glob(pattern)):
            lines.append(f"last {kind}    {made[-1]}")
    lines += [f"metrics      {run_dir / 'metrics.csv'}", f"summary      {run_dir / 'summary.json'}"]
    if tracking:
        lines.append(tracking)
    if not trained:
        lines.append("Nothing was left to train: the limits of the run were reached before.")
    return lines


def next_steps(config: Path, trainer: Trainer, model: LightningModule, options: Any) -> list[str]:
    """Lines with commands for the last checkpoint; no line if there is no checkpoint."""
    last = config.parent / "checkpoints" / "last.ckpt"
    if not last.exists():
        return []
    checkpoint = ["--ckpt_path", str(last)]
    return [
        "Try next:",
        *(f"  {command_line(*command)}" for command in generation_commands(model, last)),
        f"  {command_line('validate' if trainer.limit_val_batches else 'test', *checkpoint)}",
        f"  {command_line('fit', '-c', str(config), *checkpoint, *longer(trainer, options))}    (resume)",
    ]


def how_to_resume(config: Path, same_command: bool) -> str:
    """How to resume the stopped run whose options `config` holds; `same_command`: it was started with --resume."""
    if same_command:
        return "the same command resumes"
    last = config.parent / "checkpoints" / "last.ckpt"
    if not last.exists():
        return "there is no checkpoint yet to resume from"
    resume = command_line("fit", "-c", str(config), "--ckpt_path", str(last))
    return f"to resume from the last checkpoint:\n  {resume}"


def longer(trainer: Trainer, options: Any) -> list[str]:
    """Options that double the limits of the run, so that there is something left to train after a resume."""
    given, doubled = options.trainer, []
    if given.max_steps != -1:
        doubled += ["--trainer.max_steps", str(2 * given.max_steps)]
    if given.max_time is not None:
        doubled += ["--trainer.max_time", "null"]
    if given.max_epochs not in (None, -1) or not doubled or doubled[-1] == "null":
        doubled += ["--trainer.max_epochs", str(2 * max(1, trainer.current_epoch))]
    return doubled


def generation_commands(model: LightningModule, checkpoint: Path) -> list[list[str]]:
    """The commands that generate images or text from a checkpoint of `model`."""
    if isinstance(model, CharLanguageModel):
        options = ["--length", "1000", "--temperature", "0.8", "--seed", "1"]
        return [["sample", "--ckpt_path", str(checkpoint), *options]]
    if isinstance(model, ImageGenerator):
        return [
            ["sample", "--ckpt_path", str(checkpoint), "--count", "100", "--seed", "1", "--output", "grid.png"],
            ["interpolate", "--ckpt_path", str(checkpoint), "--seed", "1", "--output", "strip.png"],
        ]
    return []
