"""Decides which options of a class are kept when another one is chosen: `-c gan.yaml --model WGAN`.

jsonargparse keeps every option that the new class has, too, the old class's *defaults* among them. The default
generator's BatchNorm and tanh would silently go into a ConvGenerator, and a WGAN would get the GAN's loss. With this
only what was set explicitly is kept: `latent_dim: 50` of the config holds for the WGAN, too, which has its own loss and
optimizer. jsonargparse has no option for that.

Checked with jsonargparse 4.53; pinned by tests/lab/compat/test_class_changes.py.
"""

from typing import Any

from jsonargparse import Namespace, _typehints


def keep_only_what_was_set() -> None:
    """Replace jsonargparse's rule; a second call does nothing."""
    original: Any = _typehints.discard_init_args_on_class_path_change
    if getattr(original, "forgets_defaults", False):
        return

    def discard(parser_or_action: Any, previous: Any, value: Any) -> None:
        if previous and "init_args" in previous and previous["class_path"] != value["class_path"]:
            options = getattr(parser_or_action, "sub_add_kwargs", {})
            class_parser: Any = _typehints.ActionTypeHint.get_class_parser
            parser = class_parser(previous["class_path"], options)
            forget_defaults(previous["init_args"], parser.get_defaults())
        original(parser_or_action, previous, value)

    discard.forgets_defaults = True  # type: ignore[attr-defined]
    _typehints.discard_init_args_on_class_path_change = discard


def forget_defaults(given: Namespace, defaults: Namespace) -> None:
    """Remove the options from `given` that have their default values.

    Options of a nested class other than the default one are kept, even if they equal a default of the default class.
    """
    for name in list(given.keys()):
        if name in defaults and given[name] == defaults[name] and not of_another_class(name, given, defaults):
            given.pop(name)


def of_another_class(name: str, given: Namespace, defaults: Namespace) -> bool:
    """Whether `name` is an option of a class (`generator.init_args.output`) that differs from the default one."""
    owner, found, _ = name.rpartition(".init_args.")
    while found:
        class_path = f"{owner}.class_path"
        if given.get(class_path) != defaults.get(class_path):
            return True
        owner, found, _ = owner.rpartition(".init_args.")
    return False
