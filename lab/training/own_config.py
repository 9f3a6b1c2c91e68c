"""The config that a checkpoint brings along: `validate`, `test` and `predict` need no other."""

import importlib.util
from collections.abc import Iterator
from typing import Any

from lab.errors import UserError
from lab.training.changed_options import OF_A_START, recorded_options
from lab.training.checkpoints import config_of_run, read_checkpoint, run_folder_of
from lab.training.given import Given, read_given
from lightning_models.modules.class_paths import allowed, check_allowed, packages_in


def with_own_config(given: Given, words: list[str]) -> Given:
    """The same options on top of those of the run that wrote the checkpoint of `ckpt_path`.

    Args:
        given: what `words` say.
        words: of the command line, without a config file.

    Raises:
        UserError: if there is no such checkpoint, nobody knows its options, or they name modules that nobody allowed.
    """
    path = given.tree.get("ckpt_path")
    if path is None:
        return given
    checkpoint = read_checkpoint(str(path))
    options = recorded_options(checkpoint, str(path))
    if options is None:
        if "model" in given.tree:
            return given
        raise UserError(
            f"{path} does not hold the options of its run: give the run's config with -c RUN/config.yaml, or --model "
            "and --data"
        )
    with allowed(packages_in(given.tree) | packages_in(config_of_run(str(path)))):
        for class_path in importable_in(options):
            check_allowed(class_path, path)
    kept = {name: value for name, value in options.items() if name not in OF_A_START}
    if (folder := run_folder_of(str(path))) is not None:
        kept["run_dir"] = str(folder)
    return read_given(words, kept)


def importable_in(value: Any) -> Iterator[str]:
    """Every text in a config that could be a class path: the parser imports what a dotted name stands for."""
    if isinstance(value, dict):
        for item in value.values():
            yield from importable_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from importable_in(item)
    elif isinstance(value, str):
        package, *rest = value.split(".")
        if rest and value.replace(".", "").isidentifier() and package and importlib.util.find_spec(package):
            yield value


def other_place(path: str) -> str:
    """What to do where data is missing that the options in a checkpoint name."""
    return f"(the options come from {path}: override those that changed, such as --data.path or --data.root)"
