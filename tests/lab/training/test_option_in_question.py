"""Messages of Lightning and torch, and the option that each is about."""

import pytest
from torch.optim import SGD, Adam

from lab.training.option_in_question import nodes_of, option_in_question, quotes

TRAINER = {
    "accelerator": "auto", "strategy": "auto", "devices": "auto", "max_epochs": 1, "max_time": None,
    "limit_train_batches": 2, "val_check_interval": None, "gradient_clip_val": None, "limit_val_batches": 1,
}  # fmt: skip


def config(kind="Adam", options=None, **trainer):
    optimizer = {"class_path": f"torch.optim.{kind}", "init_args": options or {}}
    return {
        "model": {"class_path": "lightning_models.gan.GAN", "init_args": {"optimizer_g": optimizer}},
        "trainer": {**TRAINER, **trainer},
    }


@pytest.mark.parametrize(
    ("options", "message", "option"),
    [
        ({"devices": "0"}, "`Trainer(devices='0')` value is not a valid input using cpu accelerator.", "devices"),
        ({"strategy": "fsdp"}, "The strategy `fsdp` requires a GPU accelerator, got `accelerator='cpu'`", "strategy"),
        ({"max_time": "1"}, "`Timer(duration='1')` is not a valid duration.", "max_time"),
        ({"accelerator": "gpu"}, "No supported gpu backend found!", "accelerator"),
        (
            {"val_check_interval": 99},
            "`val_check_interval` (99) is more than 2: limit_val_batches",
            "val_check_interval",
        ),
        ({"gradient_clip_val": 1.5}, "gradient_clip_val is not supported here", "gradient_clip_val"),
        ({}, "you have set Trainer(max_epochs=1), fewer than 3", "max_epochs"),
    ],
)
def test_of_the_trainer(options, message, option):
    assert option_in_question(message, [], config(**options)).option == f"trainer.{option}"


@pytest.mark.parametrize(
    ("kind", "options", "message", "option"),
    [
        ("Adam", {"lr": -1.0, "eps": 1e-8}, "Invalid learning rate: -1.0", "lr"),
        ("Adam", {"lr": 1e-3, "betas": (2.0, 3.0)}, "Invalid beta parameter at index 0: 2.0", "betas"),
        ("Adam", {"lr": 1e-3, "betas": [2, 3]}, "Invalid beta parameter at index 0: 2", "betas"),
        (
            "SGD",
            {"momentum": 0.0, "dampening": 0.0, "nesterov": True},
            "Nesterov momentum requires a momentum and zero dampening",
            "nesterov",
        ),
    ],
)
def test_of_an_object_that_refuses_before_those_of_the_trainer(kind, options, message, option):
    found = option_in_question(message, [{"Adam": Adam, "SGD": SGD}[kind]], config(kind, options))
    assert found.option == f"model.optimizer_g.{option}"
    assert found.value == options[option]


def test_a_value_that_only_the_trainer_has_does_not_explain_what_an_optimizer_refuses():
    assert option_in_question("Invalid something: 2", [Adam], config(options={"lr": 1e-3})) is None
    assert option_in_question("Invalid something: 2", [], config()).option == "trainer.limit_train_batches"
    assert option_in_question("Invalid something: 2", [], config(limit_val_batches=2)) is None  # two have it


def test_values_that_any_message_may_have_count_in_quotes_only():
    assert quotes("got -1.0 here", -1.0)
    assert not quotes("got -1.05 here", -1.0)
    assert not quotes("auto, 1 or 0", "auto")
    assert not quotes("got 1", "1")
    assert quotes("got '1'", "1")
    assert not quotes("got '1'", 1)
    assert not quotes("True", True)
    assert not quotes("", "")


def test_the_options_of_a_class_are_found_wherever_it_stands():
    path, node = nodes_of(Adam, config(options={"lr": 0.5}))[0]
    assert (path, node) == ("model.optimizer_g", {"lr": 0.5})
    callbacks = {"callbacks": [{"class_path": "torch.optim.Adam"}]}
    assert nodes_of(Adam, {"trainer": callbacks}) == [("trainer.callbacks", {})]
