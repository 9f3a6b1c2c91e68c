"""Checkpoints and what is taken for one."""

import io
import os
import pickle
import zipfile
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.fuzz.configs import SAFE, VALUES
from benchmarks.fuzz.kinds import Kind, Use, broken, garbage, write
from lab.commands import interpolate, sample, validate
from lab.training.checkpoints import load_model, read_checkpoint
from lightning_models import gan, image_classifier, language_model, networks, sequence_classifier, vae  # noqa: F401

OLD = Path(__file__).parents[2] / "tests" / "data" / "before_0.2"


class Runs:
    """A pickle that runs a command when it is opened: a marker beside the checkpoint says so."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch '{self.folder}/marker'",)


@cache
def whole(name: str) -> bytes:
    """The content of a checkpoint of version 0.1, which is small."""
    return (OLD / name / "checkpoints" / "last.ckpt").read_bytes()


def torch_file(content: Any, **options: Any) -> bytes:
    """What torch.save writes."""
    file = io.BytesIO()
    torch.save(content, file, **options)
    return file.getvalue()


def other_file(random: Random, folder: Path) -> bytes:
    """A file that is no checkpoint of this project's."""
    module = nn.Linear(2, 2)
    numbers = io.BytesIO()
    np.save(numbers, np.zeros(3))
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"state_dict": Runs(folder)}))
    made: list[bytes | Any] = [
        *(b"", b"\0", garbage(random), b"PK\x05\x06" + bytes(18), numbers.getvalue(), zipped.getvalue()),
        torch_file(module.state_dict()),
        torch_file(module),
        torch_file(module.state_dict(), _use_new_zipfile_serialization=False),
        torch_file(torch.zeros(3)),
        torch_file({"state_dict": module.state_dict()}),
        torch_file({"state_dict": 3}),
        torch_file([1]),
        torch_file({"model": module.state_dict()}),
        torch_file(None),
        torch_file({"state_dict": {}, "hyper_parameters": {}}),
        torch_file({"state_dict": {}, "pytorch-lightning_version": "2.6.6", "epoch": 1, "global_step": 1}),
        torch_file({"state_dict": Runs(folder)}),
        pickle.dumps(Runs(folder)),
        pickle.dumps({"a": 1}),
        torch_file({"state_dict": {1: 2}}),
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
        b"<html>404</html>",
    ]
    return random.choice(made)


def odd_content(random: Random, name: str, folder: Path) -> bytes:
    """A whole checkpoint with other contents: options, weights and names of other types, or missing."""
    kept = torch.load(io.BytesIO(whole(name)), weights_only=True)
    for _ in range(random.choice([1, 1, 2])):
        inside = random.choice([kept, kept, kept.get("hyper_parameters", kept), kept.get("state_dict", kept)])
        if not isinstance(inside, dict) or not inside:
            continue
        key = random.choice(list(inside))
        how = random.random()
        if how < 0.25:
            del inside[key]
        elif how < 0.4:
            inside[random.choice([f"{key}x", "", 3, None])] = inside.pop(key)
        elif how < 0.6:
            inside[key] = random.choice(
                [torch.zeros(1), torch.zeros(2, 3), torch.full((5,), torch.nan), torch.zeros(3, dtype=torch.int64)]
            )
        else:
            inside[key] = random.choice(
                [*VALUES, {"class_path": "this.os.system"}, Runs(folder), 10**9, {"class_path": "antigravity.X"}]
            )
    if random.random() < 0.2:
        kept["model_class"] = random.choice(
            [*VALUES, "lightning_models.vae.VAE", "lightning_models.gan.Nope", "this.Zen", "torch.nn.Linear"]
        )
    with suppress(Exception):  # some of these cannot be pickled
        return torch_file(kept)
    return b""


def make_checkpoint(random: Random, folder: Path) -> Use:
    """A checkpoint and a command that opens it."""
    name = random.choice(["gan", "vae", "image_classifier", "language_model", "sequence_classifier"])
    how = random.random()
    if how < 0.05:
        content = whole(name)
    elif how < 0.2:
        content = other_file(random, folder)
    elif how < 0.55:
        content = odd_content(random, name, folder)
    else:
        content = broken(random, whole(name))
    run = folder / "run"
    path = (
        run / "checkpoints" / random.choice(["last.ckpt", "last.ckpt", "last", "l\udce9.ckpt", "a b.ckpt", "model.pt"])
    )
    write(path, content)
    if random.random() < 0.02:
        path = random.choice([run, run / "nothing.ckpt", run / "checkpoints"])
    if random.random() < 0.5:
        config = (OLD / name / "config.yaml").read_bytes()
        write(run / "config.yaml", broken(random, config) if random.random() < 0.3 else config)
    command = random.choice([read, read, load, draw, draw, between, measure])
    return partial(command, path)


def read(path: Path, scratch: Path) -> None:
    """Open it alone."""
    read_checkpoint(str(path), every_byte=True)


def load(path: Path, scratch: Path) -> None:
    """Build its model."""
    load_model(str(path))


def draw(path: Path, scratch: Path) -> None:
    """`sample`."""
    sample.run(["--ckpt_path", str(path), "--output", str(scratch / "grid.png")])


def between(path: Path, scratch: Path) -> None:
    """`interpolate`."""
    interpolate.run(["--ckpt_path", str(path), "--output", str(scratch / "between.png")])


def measure(path: Path, scratch: Path) -> None:
    """`validate`."""
    given = [option for option in SAFE if not option.startswith(("--trainer.max", "--alarms", "--wandb"))]
    validate.run(["--ckpt_path", str(path), *given, f"--run_dir={scratch / 'run'}"])


KINDS = [Kind("checkpoints", 8, make_checkpoint)]
