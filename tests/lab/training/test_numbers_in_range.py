"""Numbers that Lightning takes and no run can use."""

import math

import pytest

from lab.errors import UserError
from lab.training.cli import give_an_end
from lab.training.numbers_in_range import LEAST, check_numbers, leaves

TRAINER = {**dict.fromkeys(LEAST), "val_check_interval": None, "max_epochs": None, "max_steps": -1}


def with_trainer(**options):
    return {"seed_everything": 0, "trainer": {**TRAINER, **options}}


@pytest.mark.parametrize("name", LEAST)
def test_the_least_value_of_an_option(name):
    check_numbers(with_trainer(**{name: LEAST[name]}))
    with pytest.raises(UserError, match=f"--trainer.{name} is {LEAST[name] - 1}: expected at least {LEAST[name]}"):
        check_numbers(with_trainer(**{name: LEAST[name] - 1}))


def test_validation_after_no_batch():
    check_numbers(with_trainer(val_check_interval=0.0))  # a share; Lightning takes at least one batch
    check_numbers(with_trainer(val_check_interval="00:00:05:00"))
    with pytest.raises(UserError, match=r"--trainer.val_check_interval is 0: expected at least 1 batch, or a share"):
        check_numbers(with_trainer(val_check_interval=0))


@pytest.mark.parametrize("kind", ["epochs", "steps"])
def test_a_least_above_the_most(kind):
    check_numbers(with_trainer(**{f"min_{kind}": 3, f"max_{kind}": 3}))
    check_numbers(with_trainer(**{f"min_{kind}": 3, f"max_{kind}": -1}))
    with pytest.raises(UserError, match=f"--trainer.min_{kind} is 3, more than --trainer.max_{kind}, which is 2"):
        check_numbers(with_trainer(**{f"min_{kind}": 3, f"max_{kind}": 2}))


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_lightning_does_not_take(seed):
    for good in (True, False, 0, 2**32 - 1):
        check_numbers(with_trainer() | {"seed_everything": good})
    with pytest.raises(UserError, match=f"--seed_everything is {seed}: use a whole number from 0 to 4294967295"):
        check_numbers(with_trainer() | {"seed_everything": seed})


@pytest.mark.parametrize(
    ("value", "expected"),
    [(math.nan, "a number"), (2**63, "a whole number of at most"), (-(2**63) - 1, "a whole number of at most")],
)
def test_numbers_that_no_option_takes(value, expected):
    options = with_trainer() | {"data": {"class_path": "Digits", "init_args": {"sizes": [1, 2**63 - 1, value]}}}
    with pytest.raises(UserError, match=rf"--data.sizes is {value}: expected {expected}"):
        check_numbers(options)


def test_leaves_are_named_as_they_are_typed():
    tree = {"model": {"class_path": "A", "init_args": {"layers": [3, {"init_args": {"width": 4}}]}}, "quiet": True}
    assert list(leaves(tree)) == [
        ("model.class_path", "A"),
        ("model.layers", 3),
        ("model.layers.width", 4),
        ("quiet", True),
    ]


def test_the_default_end_is_not_below_the_least_number_of_epochs():
    class Options:
        max_epochs, max_steps, max_time, min_epochs = None, -1, None, 50

    give_an_end(Options)
    assert Options.max_epochs == 50
