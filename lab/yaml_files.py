"""YAML in which no key stands twice: PyYAML silently takes the last one."""

from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from lab.errors import UserError, UserFileError

Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(path: Path, source: str | None = None, load: Callable[[str], Any] | None = None) -> Any:
    """The content of a YAML file; see `parse_yaml`, which has the other arguments.

    Raises:
        UserError: for a file that cannot be read, is not UTF-8, is not valid YAML, or has a key twice.
    """
    source = source or str(path)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{source} is not UTF-8 ({error}): save it as UTF-8") from error
    except OSError as error:
        raise UserFileError(f"{source} cannot be read: {error.strerror}") from error
    return parse_yaml(text, source, load)


def parse_yaml(text: str, source: str, load: Callable[[str], Any] | None = None) -> Any:
    """The content of YAML.

    Args:
        text: the YAML.
        source: what messages call it, such as "the config file a.yaml".
        load: what makes values of it; by default PyYAML, which reads 1e-3 as text.

    Raises:
        UserError: for text that is not valid YAML, or a key that stands twice.
    """
    try:
        check_keys(text, source)
        return yaml.load(text, Loader) if load is None else load(text)
    except UserError:
        raise
    except Exception as error:  # what the readers of numbers, dates and nested lists raise has no common class
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{source} is not valid YAML: {reason}") from error


def check_keys(text: str, source: str) -> None:
    """Look for keys that stand twice in one mapping; a value that `<<` merges in may be overridden.

    Args:
        text: the YAML.
        source: what it is, such as "the config file a.yaml".

    Raises:
        UserError: for the first one, with the lines of both.
        yaml.YAMLError: for text that is not valid YAML.
    """
    for mapping in mappings(yaml.compose(text, Loader)):
        lines: dict[tuple[str, str], int] = {}
        for key, _ in mapping.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            line, name = key.start_mark.line + 1, (key.tag, key.value)
            if name in lines:
                raise UserError(
                    f"{source} has the key {key.value} in line {lines[name]} and again in line {line}: keep one of them"
                )
            lines[name] = line


def mappings(root: yaml.Node | None) -> Iterator[yaml.MappingNode]:
    """Every mapping below a node, once; aliases may form circles."""
    pending, seen = deque([root]), set()
    while pending:
        node = pending.popleft()
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            yield node
            pending += [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            pending += node.value
