"""What becomes of the options of a class when another one is chosen: `-c gan.yaml --model WGAN`.

jsonargparse keeps every option that the new class knows too, the old class's *defaults* among them. So the default
generator's BatchNorm and tanh would silently go into a ConvGenerator, and a WGAN would get the GAN's loss. Here only
what somebody set is kept: `latent_dim: 50` in the config holds for the WGAN as well, its own loss and optimizer too.
"""

from typing import Any

from jsonargparse import Namespace, _typehints


def keep_only_what_was_set() -> None:
    """Put the rule above into jsonargparse, once; a private seam that tests/commands/test_class_changes.py pins."""
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
    """Remove from `given` what has its default value.

    The options of a class that is not the default one stay as they are, whatever the default class takes by that name.
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
