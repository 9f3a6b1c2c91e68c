"""Checks names of options and classes, typed or in config files: one message with the nearest or the allowed ones.

They are compared with the signatures of the classes before the parser runs, whose messages fill a page.
"""

from typing import Any

from lab.errors import UserError
from lab.training import registry
from lab.training.given import CLASS, INHERITED, Given
from lab.training.signatures import (
    Option,
    built_class,
    find_class,
    in_words,
    options_of,
    subclasses,
    takes_bool,
    unclear_builder,
)
from lightning_models.modules.class_paths import module_at, nearest, no_such_module

MOST_LISTED = 20
OPTIMIZERS = ("Adam", "AdamW", "RMSprop", "SGD")  # those that a message proposes, of the many that torch has


def check_names(given: Given, groups: dict[str, type | None]) -> None:
    """Check every name of an option and of a class.

    Args:
        given: the options of the command.
        groups: the options of the first level; of those that have options of their own, their class.

    Raises:
        UserError: for the first name that is wrong.
    """
    for name, value in given.tree.items():
        if name not in groups:
            raise UserError(f"there is no option --{name}{nearest(name, groups)}; there are {', '.join(groups)}")
        owner = groups[name]
        if name in registry.SHORT_NAMES:
            check_chosen_class(given, name, value)
        elif owner is not None and (not isinstance(value, dict) or CLASS in value):
            found = value.get(CLASS) if isinstance(value, dict) else "null" if value is None else value
            option = next(iter(options_of(owner)))
            raise UserError(f"--{name} is {found}: expected the name of one of its options, such as --{name}.{option}")
        elif owner is not None:
            check_node(given, name, value, owner, options_of(owner))
    for name in registry.SHORT_NAMES:
        if given.tree.get(name) is None:
            raise UserError(missing(name))


def check_chosen_class(given: Given, name: str, value: Any) -> None:
    """Check the model or the data, with all options."""
    if value is None or (isinstance(value, dict) and value.get(CLASS, "") is None):
        raise UserError(missing(name))
    node = value if isinstance(value, dict) else {CLASS: value}
    if CLASS not in node:
        option = next(iter(node))
        raise UserError(f"--{name}.{option} needs a class before it: {missing(name)}")
    check_class_node(given, name, node, registry.BASES[name], 0)


def missing(name: str) -> str:
    """What to give for the model or the data."""
    allowed = ", ".join(c.__name__ for c in registry.SHORT_NAMES[name])
    return f"--{name} is missing: choose one of {allowed}, or a config file with -c"


def check_class_node(given: Given, path: str, node: Any, base: type, given_by_caller: int, default: Any = None) -> None:
    """Check a class of a kind of `base` at the option `path`, and its options.

    Args:
        given: where to record the node.
        path: the option, as it is typed.
        node: the name of the class, or its node in the tree.
        base: what it must be a kind of.
        given_by_caller: how many of its first arguments whoever builds it passes itself.
        default: the default of the option, which names the class where only options of it were given.
    """
    if isinstance(node, str):
        node = {CLASS: node}
    name = node.get(CLASS) or (default.get(CLASS) if isinstance(default, dict) else None)
    if name is None:
        return
    found = find_class(str(name), base)
    if found is None or (isinstance(found, type) and not issubclass(found, base)):
        raise UserError(no_such_class(path, str(name), base, found))
    if callable(found):
        check_node(given, path, node, found, options_of(found, given_by_caller))


def check_node(given: Given, path: str, node: dict[str, Any], owner: Any, options: dict[str, Option]) -> None:
    """Check the options of `owner` that were given at `path`.

    Raises:
        UserError: for the first one that is wrong.
        TypeError: for an annotation of `owner` that does not say what an injected network is called with.
    """
    given.nodes.append((path, node, owner))
    linked = registry.LINKED if path == "model" else ()
    settable = [name for name in options if name not in linked]
    for name, option in options.items():
        if unclear_builder(option, name in node):
            raise TypeError(
                f"{owner.__name__}.{name} is annotated with `Callable[..., ]`: name what it is called with, such as "
                "Callable[[ImageShape, int], Classifier], so that the other arguments can be options"
            )
    for name, value in node.items():
        if name in (CLASS, INHERITED) or (name in node.get(INHERITED, []) and name not in options):
            continue
        if name in linked:
            raise UserError(
                f"--{path}.{name} follows from the data and cannot be set: change the data, or leave it out"
            )
        if name not in options:
            hint = nearest(name, settable) or (f"; there are {', '.join(settable)}" if settable else ", which has none")
            raise UserError(f"there is no option --{path}.{name} of {owner.__name__}{hint}")
        check_value(given, f"{path}.{name}", value, options[name])


def check_value(given: Given, path: str, value: Any, option: Option) -> None:
    """Check a value that names a class, and null where it means nothing."""
    built = built_class(option.hint)
    if value is None:
        if not option.takes_null and (expected := in_words(option.hint)):
            allowed = f" (choose one of {names_of(built[0])})" if built else ""
            raise UserError(f"--{path} is null: expected {expected}{allowed}, or leave it out for the default")
        return
    if built is None or (takes_bool(option.hint) and str(value).lower() in ("true", "false")):
        return
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, (str, dict)):
            check_class_node(given, path, item, *built, default=option.default)


def no_such_class(path: str, name: str, base: type, found: Any) -> str:
    """Names the classes that the option takes."""
    if found is not None:
        return f"--{path} {name}: this is no kind of {base.__name__}; choose one of {names_of(base)}"
    module_name, _, short = name.rpartition(".")
    module = module_at(module_name)
    if module_name and module is None:
        return f"--{path} {name}: {no_such_module(name)}"
    own = [n for n, kind in vars(module or registry).items() if isinstance(kind, type) and issubclass(kind, base)]
    proposed = own if module else names_of(base, path).split(", ")
    listed = f"; choose one of {', '.join(proposed)}" if proposed else ""
    return f"--{path} {name}: there is no such class{nearest(short, proposed)}{listed}"


def names_of(base: type, path: str = "") -> str:
    """The short names of the kinds of `base`."""
    if path in registry.SHORT_NAMES:
        return ", ".join(c.__name__ for c in registry.SHORT_NAMES[path])
    names = sorted(subclasses(base))
    if len(names) > MOST_LISTED:
        names = [name for name in names if name in OPTIMIZERS] or [*names[:MOST_LISTED], "..."]
    return ", ".join(names)
