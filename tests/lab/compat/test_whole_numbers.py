from typing import get_args

import pytest
from jsonargparse import ArgumentParser
from pytorch_lightning import Trainer

from lab.compat.whole_numbers import LIMITS, int_first, keep_whole_numbers


@pytest.mark.parametrize("option", LIMITS)
def test_the_command_line_tells_1_from_1_0(option):
    keep_whole_numbers()
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(Trainer, "trainer", instantiate=False)
    for written, expected in (("1", int), ("1.0", float), ("0.5", float), ("7", int)):
        value = parser.parse_args([f"--trainer.{option}={written}"]).trainer[option]
        assert (value, type(value)) == (expected(written), expected)


def test_other_options_and_types_stay_as_they_are():
    assert int_first("max_time", float | int) == float | int
    assert get_args(int_first("max_time", float | int)) == (float, int)
    assert int_first("overfit_batches", str | None) == str | None
    assert get_args(int_first("overfit_batches", float | int | None)) == (int, float, type(None))
