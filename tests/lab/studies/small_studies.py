"""Studies of four trials on scikit-learn's digits, and what came out of them."""

import csv

import pytest
import yaml

import cli
from lab.studies import engine
from lab.studies.study_file import read_study

FEW = {"trainer.max_epochs": 1, "trainer.limit_train_batches": 2, "trainer.limit_val_batches": 1}
FEW |= {"trainer.log_every_n_steps": 1, "trainer.accelerator": "cpu"}
WIDTHS = "model.network.hidden_dims"
DIGITS = {
    "title": "Width on digits",
    "base": "configs/classifier/digits.yaml",
    "overrides": FEW,
    "grid": {WIDTHS: [[4], [8]]},
    "seeds": [0, 1],
    "record": ["val/accuracy", "val/loss"],
    "direction": "maximize",
}


def write(path, **changes):
    path.write_text(yaml.safe_dump({key: value for key, value in {**DIGITS, **changes}.items() if value is not None}))
    return path


def run(file, study_dir, *options, status=0):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["study", str(file), "--study_dir", str(study_dir), *options])
    assert stopped.value.code == status


def rows(study_dir):
    with (study_dir / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def opened(file, study_dir):
    """The study and a queue of its trials in its folder."""
    study = read_study(file)
    study_dir.mkdir(exist_ok=True)
    return study, engine.open_queue(study, study_dir, None)
