"""What the user gave, on the command line and in config files, as one tree, before the parser reads it.

A node of a class is a dict of its options and of `class_path`; the levels `init_args` of a config file are left out,
as they are when one types an option: `{"model": {"class_path": "GAN", "latent_dim": "50"}}`.
"""

import difflib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonargparse
import yaml

from lab.compat.moved import MOVED_CONFIGS, current_config
from lab.compat.moved_options import current_model, current_option
from lab.errors import UserError, UserFileError
from lab.shipped import find_config
from lab.yaml_files import check_keys, read_yaml

CLASS = "class_path"
SKIPPED = ("init_args", "dict_kwargs")
INHERITED = "inherited options"  # of a node whose class was exchanged: the parser drops what the new class lacks
CONFIG_OPTIONS = ("-c", "--config")


@dataclass
class Given:
    """The options of one command.

    Args:
        tree: all of them; later ones override earlier ones.
        arguments: what the parser is to read, in which names of earlier versions are replaced by those of today.
        config_files: in the order in which they were named.
        nodes: every node of a class with its option and the class; `option_checks.check_names` finds them.
    """

    tree: dict[str, Any] = field(default_factory=dict)
    arguments: list[str] = field(default_factory=list)
    config_files: list[Path] = field(default_factory=list)
    nodes: list[tuple[str, dict[str, Any], Any]] = field(default_factory=list)  # option, node, class; once checked

    @property
    def asks_for_help(self) -> bool:
        """Whether the parser will print something and exit."""
        words = [argument.partition("=")[0] for argument in self.arguments]
        return any(word in ("-h", "--help", "--print_config") or word.endswith(".help") for word in words)


def read_given(arguments: list[str], before: dict[str, Any] | None = None) -> Given:
    """Merge the command line and the config files that it names.

    Args:
        arguments: of the command line.
        before: a config, as read from YAML with the names of today, that they override.

    Raises:
        UserError: for a config file that is missing or cannot be read.
    """
    given, position = Given(), 0
    if before is not None:
        given.arguments += ["--config", in_one_line(before)]
        merge_config(given.tree, before)
    while position < len(arguments):
        word = arguments[position]
        position += 1
        name, has_value, value = word.partition("=")
        takes_next = not has_value and position < len(arguments) and not is_option(arguments[position])
        if name.startswith("-") and takes_next:
            value, position = arguments[position], position + 1
        if name in CONFIG_OPTIONS:
            if not value:
                raise UserError(f"{name} needs the name of a config file")
            given.arguments += [name, add_config(given, value)]
        elif name.startswith("--") and (has_value or takes_next):
            option = current_option(name.removeprefix("--"), as_config(given.tree.get("model")))
            set_option(given.tree, option, plain(option, value))
            if value == "null" and option.count(".") > 1:
                given.arguments.append(null_argument(option))
            else:
                given.arguments += [f"--{option}={value}"] if has_value else [f"--{option}", value]
        else:
            if name.startswith("--"):
                set_option(given.tree, name.removeprefix("--"), True)
            elif not name.startswith("-"):
                raise UserError(f"'{word}' is no option: options begin with --, and the value of one follows it")
            given.arguments.append(word)
    return given


def null_argument(option: str) -> str:
    """`--model.network={"init_args": {"forget_bias": null}}`: jsonargparse takes a typed nested null for text."""
    first, second, *names = [part for part in option.split(".") if part not in SKIPPED]
    value: Any = None
    for name in reversed(names):
        value = {"init_args": {name: value}}
    return f"--{first}.{second}={json.dumps(value)}"


def is_option(word: str) -> bool:
    """Whether a word of the command line begins an option, rather than being the value of the one before."""
    return word.startswith("--") or word in ("-c", "-h")


def add_config(given: Given, value: str) -> str:
    """Merge a config file into the tree; what the parser is to read for it: the file, or its translated content."""
    path = find_config(Path(MOVED_CONFIGS.get(value, value)).expanduser())
    content = read_config(path)
    given.config_files.append(path)
    translated = current_config(content)
    if isinstance(translated.get("model"), dict):
        translated["model"] = current_model(translated["model"])
    merge_config(given.tree, translated)
    return str(path) if translated == content else in_one_line(translated)


def merge_config(tree: dict[str, Any], config: dict[str, Any]) -> None:
    """Set all options of a config."""
    for key, options in config.items():
        if str(key).rpartition(".")[2] in ("", *SKIPPED):
            raise UserError(f"a config has the option '{key}': expected a name such as model or model.{key or 'lr'}")
        set_option(tree, str(key), options)


class QuotedTexts(yaml.SafeDumper):
    """Writes YAML in which a text cannot be taken for a number."""


QuotedTexts.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))


def in_one_line(config: dict[str, Any]) -> str:
    """A config as the value of an option: not in JSON, which has no infinity."""
    return yaml.dump(config, Dumper=QuotedTexts, default_flow_style=True, width=float("inf")).strip()


def read_config(path: Path) -> dict[str, Any]:
    """The content of a config file; its numbers are read as jsonargparse reads them (1e-3 is a number).

    Raises:
        UserError: if there is no such file, a key stands twice in it, or it holds no options.
    """
    if not path.is_file():
        raise UserFileError(f"there is no config file {path}{nearest_file(path)}")
    content = read_yaml(path, f"the config file {path}", jsonargparse.get_loader("yaml"))
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise UserError(f"the config file {path} holds no options: expected lines such as `model: ...` and `data: ...`")
    return content


def as_config(node: Any) -> dict[str, Any] | None:
    """A node of the tree as a config file has it, with the level `init_args`; None for what is no node of a class."""
    if not isinstance(node, dict) or CLASS not in node:
        return {CLASS: node, "init_args": {}} if isinstance(node, str) else None
    options = {name: as_config(value) if isinstance(value, dict) else value for name, value in node.items()}
    return {CLASS: options.pop(CLASS), "init_args": options}


def nearest_file(path: Path) -> str:
    """A hint at the config files that there are."""
    files = [str(file) for file in Path("configs").rglob("*.yaml")]
    alike = [file for file in files if Path(file).stem == path.stem]
    found = list(dict.fromkeys(alike + difflib.get_close_matches(str(path), files, n=2, cutoff=0.5)))[:3]
    return f"; did you mean {' or '.join(found)}?" if found else "; those of the project are in configs/"


def plain(option: str, value: str) -> Any:
    """A typed value: a list or dict where it is written as one, null, or the text itself."""
    if value[:1] in ("{", "["):
        try:
            check_keys(value, f"--{option}")
            return jsonargparse.get_loader("yaml")(value)
        except yaml.YAMLError:
            return value
    return None if value == "null" else value


def set_option(tree: dict[str, Any], name: str, value: Any) -> None:
    """Set the option of the dotted `name`, as typed; `name+` appends to a list."""
    *owners, last = [part for part in name.split(".") if part not in SKIPPED]
    node = tree
    for owner in owners:
        child = node.get(owner)
        if isinstance(child, list) and child:  # options of the list's last object
            if not isinstance(child[-1], dict):
                child[-1] = {CLASS: child[-1]}
            node = child[-1]
            continue
        if not isinstance(child, dict):
            child = node[owner] = {} if child is None else {CLASS: child}
        node = child
    if last.removesuffix("+") in node.get(INHERITED, []):
        node[INHERITED].remove(last.removesuffix("+"))
    if last.endswith("+"):
        items = value if isinstance(value, list) else [value]
        before = node.get(last[:-1])
        before = [] if before is None else before if isinstance(before, list) else [before]
        node[last[:-1]] = [*before, *map(flattened, items)]
    elif isinstance(node.get(last), dict) and value is not None:
        if not owners:
            check_order(last, node[last], value)
        merge(node[last], value)
    else:
        node[last] = flattened(value)


def check_order(name: str, node: dict[str, Any], value: Any) -> None:
    """Raise UserError if options of the model or the data were given before `value`, which names their class."""
    if CLASS not in node and (isinstance(value, str) or CLASS in value):
        option = next(iter(node))
        raise UserError(f"--{name}.{option} comes before the class that has it: name that first, with -c or --{name}")


def merge(node: dict[str, Any], value: Any) -> None:
    """Set the options of a node: another class, some of its options, or both."""
    value = flattened(value)
    if not isinstance(value, dict):
        value = {CLASS: value}
    if value.get(CLASS, node.get(CLASS)) != node.get(CLASS):
        node[INHERITED] = [*node.get(INHERITED, []), *(key for key in node if key not in (CLASS, INHERITED))]
    for key, option in value.items():
        if key == CLASS:
            node[CLASS] = option
        else:
            set_option(node, key, option)


def flattened(value: Any) -> Any:
    """`value` of a config file without its levels `init_args`."""
    if isinstance(value, list):
        return [flattened(item) for item in value]
    if not isinstance(value, dict):
        return value
    flat: dict[str, Any] = {}
    for key, option in value.items():
        if key in SKIPPED and isinstance(option, dict):
            flat |= {name: flattened(inner) for name, inner in option.items()}
        else:
            flat[str(key)] = flattened(option)
    return flat
