"""Options with which any config is trained on stand-in data within seconds."""

from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


def data_class(config_path):
    """The class of a config's data."""
    return yaml.safe_load((ROOT / config_path).read_text())["data"]["class_path"]


def stand_in_paths(config_path, data_root):
    """Options that put the stand-in data into the place of the real one; `data_root` is the fixture's."""
    data = data_class(config_path)
    options = [] if data in ("Digits", "Palindromes") else ["--data.root", str(data_root)]
    if data == "ImageFolder":
        options += ["--data.path", str(data_root / "images"), "--data.cache_dir", str(data_root / "cache")]
    return options


def few_batches(config_path, data_root):
    """Options that make any config short."""
    data = data_class(config_path)
    options = ["--trainer.accelerator", "cpu", "--trainer.max_epochs", "1", "--trainer.limit_train_batches", "2"]
    options += ["--trainer.limit_val_batches", "1", "--trainer.log_every_n_steps", "1", "--data.batch_size", "2"]
    options += ["--samples.grid", "2", "--samples.progress_columns", "2", "--samples.interpolation_steps", "2"]
    if data == "StackedMNIST":
        options += ["--data.num_images", "60", "--data.num_test_images", "30"]
    if data == "Text":
        options += ["--texts.length", "20"]
    return options + stand_in_paths(config_path, data_root)
