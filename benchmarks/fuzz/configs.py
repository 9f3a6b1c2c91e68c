"""Configs and study files."""

from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import yaml

from benchmarks.fuzz.kinds import Kind, Use, broken, garbage, write
from lab.commands import fit
from lab.shipped import find_config
from lab.studies import engine, start
from lab.studies.study_file import read_study

BASES = (
    "configs/classifier/digits.yaml",
    "configs/gan/digits.yaml",
    "configs/vae/digits.yaml",
    "configs/names/surnames.yaml",
)
SAFE = [  # what would make a case long, or start other processes
    *(
        "--quiet",
        "--trainer.max_steps=1",
        "--trainer.max_epochs=1",
        "--trainer.limit_val_batches=1",
        "--alarms.restarts=0",
    ),
    *("--trainer.accelerator=cpu", "--trainer.devices=1", "--trainer.num_nodes=1", "--wandb.mode=disabled"),
]
STUDY: dict[str, Any] = {
    "title": "Which width?",
    "base": "configs/classifier/digits.yaml",
    "question": "Does it matter?",
    "overrides": {"trainer.max_epochs": 1},
    "grid": {"model.l2": [0, 1e-3], "data.batch_size": [32, 64]},
    "seeds": [0, 1],
    "record": ["val/accuracy", "val/loss"],
    "plot": [{"x": "model.l2", "y": "val/accuracy"}],
    "quick": {"seeds": [0]},
}
OTHER_SPACES: list[dict[str, Any]] = [
    {"list": [{"model.l2": 0}, {"model.l2": 0.1, "data.batch_size": 32}], "labels": ["none", "some"]},
    {"search": {"model.l2": {"low": 1e-4, "high": 1e-1, "log": True}}, "trials": 3, "sampler": "tpe", "pruner": "asha"},
]
VALUES: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        10**6,
        10**30,
        0.5,
        -0.0,
        1e-300,
        float("nan"),
        float("inf"),
        "",
        " ",
        "a",
        "null",
        "1e-3",
        "0x10",
    ),
    *(
        "1_000",
        "yes",
        "~",
        "*",
        "é",
        "\x01",
        "\u2028",
        "a" * 5_000,
        "../..",
        "/",
        "Adam",
        "torch.optim.SGD",
        "os.system",
        "builtins.print",
    ),
    *(
        "GAN",
        "no_module.Class",
        "lab.errors.UserError",
        ".",
        "a.",
        ".a",
        "${x}",
        "{}",
        "[",
        "{a: b}",
        "[1, 2",
        "@a",
        "!x",
        "- a",
        "%",
    ),
    *(
        [],
        [[]],
        {},
        {"": ""},
        [None],
        [1, "a"],
        {"class_path": "GAN"},
        {"class_path": None},
        {"class_path": 3, "init_args": []},
    ),
    *(
        {"class_path": "os.path.join"},
        {"class_path": "torch.optim.Adam", "init_args": {"lr": "x"}},
        {"init_args": {"a": 1}},
        {1: 2},
    ),
    *(
        [0.1] * 50,
        {"low": 1, "high": 0},
        {"choices": []},
        {"low": "a", "high": "b"},
        [{"x": 1}],
        ["val/loss"],
        ["nope/nope"],
    ),
]
LINES = [  # to put between the lines of a file
    *(
        "a: *a",
        "&a a: *a",
        "? [a, b]\n: c",
        "!!python/object/apply:os.system ['touch marker']",
        "!!python/name:os.system",
        "!x y: z",
    ),
    *(
        "<<: {a: 1}",
        "<<: *no",
        "<<: 3",
        "---",
        "...",
        "%YAML 9.9",
        "\tx: 1",
        "model: {}",
        "model: 3",
        "trainer: null",
        "title: again",
    ),
    *(
        "{",
        "]",
        "- a",
        "a: b: c",
        "'",
        '"',
        "x: |",
        "x: >-\n y",
        "? ",
        ": ",
        "2020-01-01: 2020-01-01",
        "0o17: 0b1",
        "~: ~",
        "1: 1",
        "1.0: 1",
    ),
    *(
        "seeds: [0, 0]",
        "a: &a [*a]",
        "a: &a {b: *a}",
        "\ufeffa: 1",
        "x: " + "[" * 30 + "]" * 30,
        "x: " + "{a: " * 200,
        "# only a comment",
    ),
    *(
        "x: " + "[" * 5_000,
        "config: x.yaml",
        "run_dir: elsewhere",
        "ckpt_path: no.ckpt",
        "seed_everything: x",
        "data: [Digits]",
        "!!binary x: a",
    ),
    *(
        "x: !!int a",
        "x: !!float []",
        "x: !!timestamp 9999-99-99",
        "x: 9999-99-99",
        "x: 1:60:99",
        "x: .nan",
        "x: !!set {a, b}",
        "x: !!omap [a: 1]",
    ),
]


def altered(random: Random, content: Any) -> Any:
    """A plain value with one place changed: another value, another key, or one that is missing."""
    if not isinstance(content, (dict, list)) or not content or random.random() < 0.15:
        return random.choice(VALUES)
    if isinstance(content, list):
        place = random.randrange(len(content))
        return [*content[:place], altered(random, content[place]), *content[place + 1 :]]
    key = random.choice(list(content))
    how = random.random()
    if how < 0.15:
        return {name: value for name, value in content.items() if name != key}
    if how < 0.3:
        new = random.choice(
            [f"{key}x", str(key).upper(), "", None, 3, f"{key}.a", "lr", True, "init_args", "class_path", (1, 2)]
        )
        return {new if name == key else name: value for name, value in content.items()}
    return {**content, key: altered(random, content[key])}


def yaml_content(random: Random, content: Any) -> bytes:
    """A YAML file of a content that is altered, in a text that is altered."""
    for _ in range(random.choice([0, 1, 1, 1, 2, 4])):
        content = altered(random, content)
    text = yaml.dump(content, sort_keys=False, allow_unicode=True, default_flow_style=random.choice([False, None]))
    lines = text.split("\n")
    for _ in range(random.choice([0, 0, 1, 1, 3])):
        place = random.randrange(len(lines) + 1)
        how = random.random()
        if how < 0.6:
            indent = " " * random.choice([0, 0, 2, 3, 4])
            lines.insert(place, indent + random.choice(LINES))
        elif how < 0.8 and place < len(lines):
            lines.insert(place, lines[place])
        elif place < len(lines):
            del lines[place]
    encoding = random.choice(["utf-8"] * 12 + ["utf-8-sig", "utf-16", "utf-32", "latin1", "utf-16-le"])
    made = random.choice(["\n", "\n", "\n", "\r\n", "\r"]).join(lines).encode(encoding, "ignore")
    if random.random() < 0.02:
        return random.choice([b"", b"\0", b"\n", b"null", b"3", b"- a", b"'", garbage(random)])
    return broken(random, made) if random.random() < 0.1 else made


def make_config(random: Random, folder: Path) -> Use:
    """A config, and a `fit` of one batch."""
    base = yaml.safe_load(find_config(Path(random.choice(BASES))).read_text())
    path = folder / "config.yaml"
    if random.random() < 0.01:
        path.mkdir()
    write(path, yaml_content(random, base))
    return partial(fit_once, path)


def fit_once(path: Path, scratch: Path) -> None:
    """One batch."""
    fit.run(["-c", str(path), *SAFE, f"--run_dir={scratch / 'run'}"])


def make_study(random: Random, folder: Path) -> Use:
    """A study file, and the check of all its options."""
    base = dict(STUDY)
    if random.random() < 0.5:
        del base["grid"], base["plot"]
        base |= random.choice(OTHER_SPACES)
    path = folder / "study.yaml"
    write(path, yaml_content(random, base))
    return partial(check_study, path, random.random() < 0.2)


def check_study(path: Path, quick: bool, scratch: Path) -> None:
    """Read it, build its models, and make its folder."""
    study = read_study(path, quick)
    engine.check_size(study, allow_large=False)
    start.check_options(study)
    start.prepare(study, scratch / "study", "study")


KINDS = [Kind("configs", 6, make_config), Kind("study files", 6, make_study)]
