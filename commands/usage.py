"""Mistakes on the command line and in config files, explained with the allowed or the nearest values."""

import difflib
import inspect
import re
from typing import Any, NoReturn

import yaml
from pytorch_lightning import Trainer
from pytorch_lightning.cli import LightningArgumentParser

from commands import registry
from commands.errors import UserError
from lightning_models.callbacks.image_samples import ImageSamples
from lightning_models.tracking import WandbOptions


class ExplainingParser(LightningArgumentParser):
    """Says what was wrong in one message, where jsonargparse prints a screen of usage and its own types."""

    arguments: tuple[str, ...] = ()

    def parse_args(self, args: Any = None, *more: Any, **options: Any) -> Any:
        """Remember what was typed; see the base class."""
        ExplainingParser.arguments = tuple(args or ())
        return super().parse_args(args, *more, **options)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise a UserError with the explained message."""
        raise UserError(explain(message, list(self.arguments))) from ex


def explain(message: str, arguments: list[str]) -> str:
    """Jsonargparse's `message` in a user's words, given what was typed."""
    if match := re.search(r"unrecognized arguments: (.*)", message):
        option = match[1].split()[0].split("=")[0]
        return unknown_option(option.removeprefix("--"), arguments)
    if match := re.search(r"Option '([^']+)' is not accepted", message):
        return unknown_option(full_name(match[1], arguments), arguments)
    if match := re.search(r"the following arguments are required: (.*)", message):
        return required(match[1])
    if match := re.search(r"(?:Key|Option) \"?'?([\w.]+)'?\"? is required", message):
        return required(match[1])
    if match := re.search(r"Expected a dot import path string: (\S+)", message):
        return unknown_class(match[1], key_of(message))
    if match := re.search(r"File does not exist: '?([^'\n]+)'?", message):
        return f"there is no config file {match[1]}" + nearest_file(match[1])
    if match := re.search(r"Expected (.+?)\. Got value: (.*)", message, flags=re.DOTALL):
        return wrong_value(full_name(key_of(message), arguments), match[2].strip(), match[1])
    return tidy(message)


def wrong_value(option: str, value: str, expected: str) -> str:
    """`--model.latent_dim is 'x': expected an int`."""
    types = re.sub(r"<class '([\w.]+)'>", lambda m: m[1].rpartition(".")[2], expected)
    return f"--{option} is {value!r}: expected {types}"


def unknown_class(name: str, key: str) -> str:
    """Names the classes that the option takes."""
    allowed = class_names(key)
    if not allowed:
        return f"--{key} {name}: there is no such class"
    return f"--{key} {name}: there is no such class{nearest(name, allowed)}; choose one of {', '.join(allowed)}"


def unknown_option(option: str, arguments: list[str]) -> str:
    """Names the nearest options, or all there are."""
    owner, _, name = option.rpartition(".")
    names = option_names(owner, arguments)
    hint = nearest(name, names)
    if not hint and names:
        hint = f"; {'--' + owner + '.' if owner else 'the options'} takes {', '.join(names)}"
    chosen = chosen_class(owner, arguments)
    of_class = f" of {chosen.__name__}" if chosen is not None else ""
    return f"there is no option --{option}{of_class}{hint}"


def required(keys: str) -> str:
    """What is missing, and how it is given."""
    names = [key.strip().removeprefix("fit.").split(".", 1)[-1] if "." in key else key for key in keys.split(",")]
    lines = []
    for name in (re.sub(r"^(fit|validate|test|predict)\.", "", n.strip()) for n in names):
        if name in ("model", "data"):
            lines.append(f"--{name} is missing: choose one of {', '.join(class_names(name))}, or a config file with -c")
        elif name.endswith("path"):
            lines.append("--data.path is missing: a folder or a .zip of images")
        else:
            lines.append(f"--{name} is missing")
    return "; ".join(lines)


# ------------------------------------------------------------------------------------------- what there is to choose


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
    found = [c for child in base.__subclasses__() for c in (child, *all_subclasses(child))]
    return [c for c in found if not inspect.isabstract(c)]


def chosen_class(owner: str, arguments: list[str]) -> type | None:
    """The class whose option `owner.<name>` would be: by what was typed, or by the config files."""
    known = {"model": registry.MODELS, "data": registry.DATA}.get(owner)
    if known is None:
        return None
    by_name = {c.__name__: c for c in known}
    for value in reversed(typed_values(f"--{owner}", arguments) + configured_values(owner, arguments)):
        if value.rpartition(".")[2] in by_name:
            return by_name[value.rpartition(".")[2]]
    return None


def option_names(owner: str, arguments: list[str]) -> list[str]:
    """The names that may follow `--owner.`."""
    if chosen := chosen_class(owner, arguments):
        return parameter_names(chosen)
    groups: dict[str, type] = {"trainer": Trainer, "samples": ImageSamples, "wandb": WandbOptions}
    if owner in groups:
        return parameter_names(groups[owner])
    if owner == "":
        return [
            "config",
            "model",
            "data",
            "trainer",
            "run_dir",
            "ckpt_path",
            "seed_everything",
            "quiet",
            "samples",
            "wandb",
        ]
    base = registry.INJECTED.get(owner.rpartition(".")[2])
    classes = all_subclasses(base) if base is not None else list(registry.MODELS + registry.DATA)
    return sorted({name for c in classes for name in parameter_names(c)})


def parameter_names(owner: type) -> list[str]:
    """The constructor's options, those that it passes on to its base class included."""
    names: list[str] = []
    for base in owner.__mro__:
        if "__init__" not in vars(base):
            continue
        parameters = inspect.signature(base.__init__).parameters.values()
        names += [
            p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and p.name != "self"
        ]
        if not any(p.kind == p.VAR_KEYWORD for p in parameters):
            break
    return [name for name in dict.fromkeys(names) if name not in registry.LINKED or owner in registry.DATA]


# ------------------------------------------------------------------------------------------------- what was typed


def typed_values(option: str, arguments: list[str]) -> list[str]:
    """All values given for `option`."""
    values = [after for word, after in zip(arguments, arguments[1:], strict=False) if word == option]
    return values + [word.split("=", 1)[1] for word in arguments if word.startswith(option + "=")]


def configured_values(key: str, arguments: list[str]) -> list[str]:
    """The class names that the config files give for `key`."""
    values = []
    for path in typed_values("-c", arguments) + typed_values("--config", arguments):
        try:
            with open(path) as file:
                section = yaml.safe_load(file).get(key)
        except (OSError, yaml.YAMLError, AttributeError):
            continue  # this file's own error is reported by the parser
        if isinstance(section, dict):
            section = section.get("class_path")
        if isinstance(section, str):
            values.append(section)
    return values


def key_of(message: str) -> str:
    """The option that jsonargparse's message is about."""
    match = re.search(r'Parser key "([^"]+)"', message)
    return match[1] if match else ""


def full_name(key: str, arguments: list[str]) -> str:
    """`key` as it was typed: jsonargparse names only its last part."""
    for word in arguments:
        option = word.split("=")[0]
        if option.startswith("--") and (option == f"--{key}" or option.endswith(f".{key}")):
            return option.removeprefix("--")
    return key


def nearest(name: str, names: list[str]) -> str:
    """`; did you mean A or B?`, or nothing."""
    by_lower = {n.lower(): n for n in names}
    close = difflib.get_close_matches(name.lower(), by_lower, n=2, cutoff=0.6)
    return f"; did you mean {' or '.join(by_lower[c] for c in close)}?" if close else ""


def nearest_file(path: str) -> str:
    """A hint at the config files that there are."""
    from pathlib import Path

    files = [str(p) for p in Path("configs").rglob("*.yaml")]
    close = difflib.get_close_matches(path, files, n=2, cutoff=0.5)
    by_stem = [f for f in files if Path(f).stem == Path(path).stem]
    found = list(dict.fromkeys(by_stem + close))[:3]
    return f"; did you mean {' or '.join(found)}?" if found else "; those of the project lie in configs/"


def tidy(message: str) -> str:
    """The message without jsonargparse's layout."""
    lines = [line.strip(" -") for line in message.splitlines() if line.strip(" -")]
    return "; ".join(lines).replace(":;", ":")
