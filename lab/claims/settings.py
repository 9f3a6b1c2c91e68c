"""The settings of a study, found by what a claim says of them."""

import difflib
from collections.abc import Sequence
from typing import Any, cast

from lab.errors import UserError

Setting = dict[str, Any]


class Settings:
    """The settings of a study, by the options that a claim names or by their labels."""

    def __init__(self, settings: Sequence[Setting], labels: Sequence[str]) -> None:
        self.settings, self.labels = settings, labels
        self.options = list(dict.fromkeys(option for setting in settings for option in setting))

    def find(self, named: Any) -> int:
        """The number of the only setting that has the named options, or the label.

        Raises:
            UserError: if there is none, or several.
        """
        if isinstance(named, str):
            if named in self.labels:
                return self.labels.index(named)
            known = f"the labels are {', '.join(self.labels)}" if self.labels else "the study has no labels"
            raise UserError(f"there is no setting {named!r}: {known}; or give options, such as {self.example()}")
        places = self.matching(named)
        if len(places) > 1:
            more = [option for option in self.options if option not in named]
            raise UserError(f"{named} stands for {len(places)} settings of the study: add {' or '.join(more)}")
        return places[0]

    def matching(self, named: Any) -> list[int]:
        """The numbers of the settings that have the named options.

        Raises:
            UserError: if there is none.
        """
        if not isinstance(named, dict):
            raise UserError(f"{named!r} is no setting: give options, such as {self.example()}")
        for option in named:
            if option not in self.options:
                nearest = difflib.get_close_matches(str(option), self.options, n=1)
                hint = f"did you mean {nearest[0]}?" if nearest else f"it varies {', '.join(self.options)}"
                raise UserError(f"the study does not vary {option}: {hint}")
        places = [
            place
            for place, setting in enumerate(self.settings)
            if all(option in setting and same(setting[option], value) for option, value in named.items())
        ]
        if not places:
            tried = {
                option: [setting.get(option) for setting in self.settings if option in setting] for option in named
            }
            unique = "; ".join(
                f"{option}: {', '.join(dict.fromkeys(map(str, values)))}" for option, values in tried.items()
            )
            raise UserError(f"no setting of the study has {named}: it tries {unique}")
        return places

    def along(self, option: Any, where: Any) -> list[int]:
        """The settings in the order of an option's values, all other options being those of `where`."""
        if option not in self.options:
            raise UserError(f"the study does not vary {option}: it varies {', '.join(self.options)}")
        places = self.matching(where) if where else list(range(len(self.settings)))
        places = [place for place in places if option in self.settings[place]]
        values = [self.settings[place][option] for place in places]
        if any(values.count(value) > 1 for value in values):
            more = [other for other in self.options if other != option and other not in (where or {})]
            raise UserError(f"several settings have the same {option}: say with `where` what {' and '.join(more)} is")
        if not all(isinstance(value, (int, float)) for value in values):
            raise UserError(f"the values of {option} are no numbers: give the settings of the trend as a list")
        return sorted(places, key=lambda place: cast("float", self.settings[place][option]))

    def example(self) -> str:
        """A setting as a claim would name it."""
        option, value = next(iter(self.settings[0].items()), ("model.latent_dim", 10))
        return f"{{{option}: {value}}}"


def same(value: Any, other: Any) -> bool:
    """Whether two values of an option are equal; YAML reads 1e-4 as text, and true is not 1."""
    if isinstance(value, bool) or isinstance(other, bool):
        return value is other
    return (
        bool(value == other)
        or str(value) == str(other)
        or (number(value) is not None and number(value) == number(other))
    )


def number(value: Any) -> float | None:
    """A value as a number; None if it is none."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
