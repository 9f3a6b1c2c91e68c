"""Mistakes on the command line and in config files, explained with the allowed or the nearest values."""

import difflib
import inspect
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import yaml
from pytorch_lightning import Trainer
from pytorch_lightning.cli import LightningArgumentParser

from lab.errors import UserError
from lab.training import registry
from lightning_models.callbacks.alarms import Alarms
from lightning_models.callbacks.image_samples import ImageSamples
from lightning_models.callbacks.sample_quality import SampleQuality
from lightning_models.callbacks.text_samples import TextSamples
from lightning_models.modules.injection import parameter_names
from lightning_models.tracking.wandb_runs import WandbOptions


class ExplainingParser(LightningArgumentParser):
    """Says what was wrong in one message, where jsonargparse prints a screen of usage and its own types."""

    arguments: ClassVar[list[str]] = []  # what was typed; set by whoever starts the parsing
    explained: ClassVar[str | None] = None

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise a UserError with the explained message.

        A class has a parser of its own, whose message comes back here wrapped in others: the innermost one counts.
        """
        inner = ExplainingParser.explained
        if inner is None or inner not in message:
            ExplainingParser.explained = explain(message, self.arguments)
        raise UserError(ExplainingParser.explained or message) from ex


def explain(message: str, arguments: list[str]) -> str:
    """The message of jsonargparse in a user's words, given what was typed."""
    if match := re.search(r"unrecognized arguments: (.*)", message):
        option = match[1].split()[0].split("=")[0]
        return unknown_option(option.removeprefix("--"), arguments)
    if match := re.search(r"Option '([^']+)' is not accepted|does not accept option '([^']+)'", message):
        return unknown_option(full_name(match[1] or match[2], arguments), arguments)
    if match := re.search(r"the following arguments are required: (.*)", message):
        return "; ".join(required(key.strip()) for key in match[1].split(","))
    if match := re.search(r"(?:Key|Option) \"?'?([\w.]+)'?\"? is required", message):
        return required(match[1])
    if match := re.search(r"Expected a dot import path string: (\S+)", message):
        return unknown_class(match[1], full_name(key_of(message), arguments))
    if match := re.search(r"File does not exist: '?([^'\n]+)'?", message):
        return f"there is no config file {shown_path(match[1])}{nearest_file(match[1])}"
    if "Problems parsing config" in message:
        return f"a config file is no valid YAML: {tidy(message.partition(':')[2])}"
    key = full_name(key_of(message), arguments)
    if match := re.search(r"Given value: (.*)", message):
        return wrong_value(key, match[1].strip(), message)
    if match := re.search(r"Got value: (.*)", message):
        return wrong_value(key, match[1].strip(), message)
    return tidy(message)


def wrong_value(option: str, value: str, message: str) -> str:
    """`--model.latent_dim is 'x': expected a whole number`."""
    choices = [word for literal in re.findall(r"Literal\[([^\]]*)\]", message) for word in literal.split(", ")]
    if choices:
        plain = list(dict.fromkeys(word.strip("'") for word in choices))
        return f"--{option} is {value!r}: expected one of {listed(plain)}{nearest(value, plain)}"
    names = re.findall(r"Expected an? <class '([\w.]+)'>", message)
    kinds = [KINDS.get(name, name.rpartition(".")[2]) for name in dict.fromkeys(names)]
    if not kinds:
        return f"--{option} is {value!r}: {tidy(message)}"
    return f"--{option} is {value!r}: expected {' or '.join(kinds)}"


KINDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text", "NoneType": "null"}


def unknown_class(name: str, key: str) -> str:
    """Names the classes that the option takes."""
    allowed = class_names(key)
    if not allowed:
        return f"--{key} {name}: there is no such class"
    return f"--{key} {name}: there is no such class{nearest(name, allowed)}; choose one of {listed(allowed)}"


def unknown_option(option: str, arguments: list[str]) -> str:
    """Names the nearest options, or all there are."""
    owner, _, name = option.rpartition(".")
    if owner.split(".")[0] not in ("", *TOP_LEVEL):
        return f"there is no option --{option}{nearest(owner.split('.')[0], TOP_LEVEL)}; there are {listed(TOP_LEVEL)}"
    chosen = chosen_class(owner, arguments)
    if owner in ("model", "data") and chosen is None:
        return f"--{option} needs a class before it: {required(owner)}"
    names = option_names(owner, arguments)
    of_class = f" of {chosen.__name__}" if chosen is not None else ""
    return f"there is no option --{option}{of_class}{nearest(name, names) or '; there are ' + listed(names)}"


def required(key: str) -> str:
    """What is missing, and how it is given."""
    name = re.sub(r"^(fit|validate|test|predict)\.", "", key)
    if name in ("model", "data"):
        return f"--{name} is missing: choose one of {listed(class_names(name))}, or a config file with -c"
    if name == "path":
        return "--data.path is missing: the folder or .zip of images to learn from"
    return f"--{name} is missing"


TOP_LEVEL = [
    "config",
    "model",
    "data",
    "trainer",
    "run_dir",
    "ckpt_path",
    "seed_everything",
    "quiet",
    "samples",
    "texts",
    "quality",
    "alarms",
    "wandb",
]


def class_names(key: str) -> list[str]:
    """The short names of the classes that option `key` takes."""
    last = key.rpartition(".")[2]
    if last == "model":
        return [c.__name__ for c in registry.MODELS]
    if last == "data":
        return [c.__name__ for c in registry.DATA]
    if last in registry.INJECTED:
        return sorted(c.__name__ for c in all_subclasses(registry.INJECTED[last]))
    if last.startswith("optimizer"):
        return ["Adam", "AdamW", "RMSprop", "SGD"]
    return []


def all_subclasses(base: type) -> list[type]:
    """The classes under `base` that can be instantiated."""
    children: list[type] = base.__subclasses__()
    found = [c for child in children for c in (child, *all_subclasses(child))]
    return [c for c in found if not inspect.isabstract(c)]


def chosen_class(owner: str, arguments: list[str]) -> type | None:
    """The class whose option `owner.<name>` would be: by what was typed, or by the config files."""
    known = {"model": registry.MODELS, "data": registry.DATA}.get(owner)
    if known is None:
        return None
    by_name = {c.__name__: c for c in known}
    typed, configured = typed_values(f"--{owner}", arguments), configured_values(owner, arguments)
    for value in [*reversed(typed), *reversed(configured)]:
        if value.rpartition(".")[2] in by_name:
            return by_name[value.rpartition(".")[2]]
    return None


def option_names(owner: str, arguments: list[str]) -> list[str]:
    """The names that may follow `--owner.`."""
    if chosen := chosen_class(owner, arguments):
        return settable_names(chosen)
    groups: dict[str, type] = {
        "trainer": Trainer,
        "samples": ImageSamples,
        "texts": TextSamples,
        "quality": SampleQuality,
        "alarms": Alarms,
        "wandb": WandbOptions,
    }
    if owner in groups:
        return settable_names(groups[owner])
    if owner == "":
        return TOP_LEVEL
    base = registry.INJECTED.get(owner.rpartition(".")[2])
    classes = all_subclasses(base) if base is not None else list(registry.MODELS + registry.DATA)
    return sorted({name for c in classes for name in settable_names(c)})


def settable_names(owner: type) -> list[str]:
    """The constructor's options, without those of a model that follow from the data."""
    return [name for name in parameter_names(owner) if name not in registry.LINKED or owner in registry.DATA]


def typed_values(option: str, arguments: list[str]) -> list[str]:
    """All values given for `option`."""
    values = [after for word, after in pairwise(arguments) if word == option]
    return values + [word.split("=", 1)[1] for word in arguments if word.startswith(option + "=")]


def configured_values(key: str, arguments: list[str]) -> list[str]:
    """The class names that the config files give for `key`."""
    sections = [config.get(key) for config in configs(arguments)]
    names = [section.get("class_path") if isinstance(section, dict) else section for section in sections]
    return [name for name in names if isinstance(name, str)]


def configs(arguments: list[str]) -> Iterator[dict[str, Any]]:
    """What stands in the config files."""
    for path in typed_values("-c", arguments) + typed_values("--config", arguments):
        try:
            config = yaml.safe_load(Path(path).read_text())
        except (OSError, yaml.YAMLError):
            continue  # the parser reports it
        if isinstance(config, dict):
            yield config


def configured_options(config: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """All options in a config file, as they would be typed: `model.generator.width`."""
    for key, value in config.items():
        option = prefix if key == "init_args" else f"{prefix}.{key}".lstrip(".")
        yield option
        if isinstance(value, dict):
            yield from configured_options(value, option)


def key_of(message: str) -> str:
    """The option that jsonargparse's message is about."""
    match = re.search(r'Parser key "([^"]+)"', message)
    return match[1] if match else ""


def full_name(key: str, arguments: list[str]) -> str:
    """`key` as it was typed or stands in a config file: jsonargparse often names its last part only."""
    typed = [word.removeprefix("--").split("=")[0] for word in arguments if word.startswith("--")]
    configured = [option for config in configs(arguments) for option in configured_options(config)]
    return next((name for name in typed + configured if name == key or name.endswith(f".{key}")), key)


def nearest(name: str, names: list[str]) -> str:
    """`; did you mean A or B?`, or nothing."""
    by_lower = {n.lower(): n for n in names}
    close = difflib.get_close_matches(name.lower(), by_lower, n=2, cutoff=0.6)
    return f"; did you mean {' or '.join(by_lower[c] for c in close)}?" if close else ""


def nearest_file(path: str) -> str:
    """A hint at the config files that there are."""
    files = [str(p) for p in Path("configs").rglob("*.yaml")]
    close = difflib.get_close_matches(shown_path(path), files, n=2, cutoff=0.5)
    by_stem = [f for f in files if Path(f).stem == Path(path).stem]
    found = list(dict.fromkeys(by_stem + close))[:3]
    return f"; did you mean {' or '.join(found)}?" if found else "; those of the project lie in configs/"


def shown_path(path: str) -> str:
    """`path` relative to the working directory if it lies there."""
    return str(Path(path).relative_to(Path.cwd())) if Path(path).is_relative_to(Path.cwd()) else path


def listed(names: list[str]) -> str:
    """`A, B, C`."""
    return ", ".join(names)


def tidy(message: str) -> str:
    """The message without jsonargparse's layout."""
    lines = [line.strip(" -") for line in message.splitlines() if line.strip(" -")]
    return "; ".join(lines).replace(":;", ":")
