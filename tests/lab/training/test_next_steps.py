"""The commands that are printed after a run."""

from types import SimpleNamespace

import pytest

from lab.training.checkpoints import load_model
from lab.training.next_steps import generation_commands, how_to_resume, longer, next_steps


def options(max_epochs=None, max_steps=-1, max_time=None):
    return SimpleNamespace(trainer=SimpleNamespace(max_epochs=max_epochs, max_steps=max_steps, max_time=max_time))


@pytest.mark.parametrize(
    ("given", "epoch", "expected"),
    [
        ({"max_epochs": 5}, 5, ["--trainer.max_epochs", "10"]),
        ({"max_epochs": 5}, 3, ["--trainer.max_epochs", "6"]),  # an alarm or early stopping ended it
        ({"max_epochs": 5}, 0, ["--trainer.max_epochs", "2"]),
        ({"max_steps": 70}, 3, ["--trainer.max_steps", "140"]),
        ({"max_epochs": -1, "max_steps": 70}, 3, ["--trainer.max_steps", "140"]),
        ({"max_epochs": 5, "max_steps": 70}, 5, ["--trainer.max_steps", "140", "--trainer.max_epochs", "10"]),
        ({"max_time": "00:01:00:00"}, 4, ["--trainer.max_time", "null", "--trainer.max_epochs", "8"]),
        (
            {"max_steps": 70, "max_time": "00:01:00:00"},
            4,
            ["--trainer.max_steps", "140", "--trainer.max_time", "null", "--trainer.max_epochs", "8"],
        ),
    ],
)
def test_each_limit_is_doubled(given, epoch, expected):
    assert longer(SimpleNamespace(current_epoch=epoch), options(**given)) == expected


def test_images_and_texts_can_be_generated(gan_run, text_run, names_run):
    def commands(run):
        checkpoint = run / "checkpoints" / "last.ckpt"
        return [command[:3] for command in generation_commands(load_model(str(checkpoint)), checkpoint)]

    def of(run, *names):
        return [[name, "--ckpt_path", str(run / "checkpoints" / "last.ckpt")] for name in names]

    assert commands(gan_run) == of(gan_run, "sample", "interpolate")
    assert commands(text_run) == of(text_run, "sample")
    assert commands(names_run) == []


@pytest.mark.parametrize(("limit_val_batches", "command"), [(1.0, "validate"), (0, "test")])
def test_it_is_evaluated_where_there_is_data_for_it(tmp_path, limit_val_batches, command):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "last.ckpt").touch()
    trainer = SimpleNamespace(limit_val_batches=limit_val_batches, current_epoch=2)
    lines = next_steps(tmp_path / "config.yaml", trainer, None, options(max_epochs=2))
    checkpoint = f"--ckpt_path {tmp_path}/checkpoints/last.ckpt"
    assert lines == [
        "Try next:",
        f"  python cli.py {command} {checkpoint}",
        f"  python cli.py fit -c {tmp_path}/config.yaml {checkpoint} --trainer.max_epochs 4    (resume)",
    ]


def test_without_a_checkpoint_there_is_nothing_to_resume(tmp_path):
    assert next_steps(tmp_path / "config.yaml", None, None, None) == []
    assert how_to_resume(tmp_path / "config.yaml", False) == "there is no checkpoint yet to resume from"
    assert how_to_resume(tmp_path / "config.yaml", same_command=True) == "the same command resumes"
