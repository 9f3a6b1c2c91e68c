"""LightningCLI with public names: what a resolved config can hold."""

import enum

import yaml
from pytorch_lightning.callbacks import Timer

from lab.compat import lightning_cli
from lab.training.signatures import options_of


def test_a_default_that_is_a_member_of_an_enum_can_be_written():
    assert lightning_cli  # it teaches PyYAML
    interval = options_of(Timer)["interval"].default
    assert isinstance(interval, enum.Enum)
    assert yaml.safe_load(yaml.safe_dump({"interval": interval})) == {"interval": "step"}
