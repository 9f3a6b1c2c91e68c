"""Errors of jsonargparse, Lightning and torch that the user's options cause, in one message with option and value."""

import errno
from collections.abc import Callable

import pytest
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import EarlyStopping, ModelSummary

from lab.errors import UserError
from lab.training.given import Given
from lab.training.mistakes import construction_mistake, innermost, parser_message, run_mistake
from lab.training.option_checks import check_names
from lightning_models.gan import GAN
from lightning_models.image_classifier import ImageClassifier
from lightning_models.modules.injection import build, default
from lightning_models.networks import Classifier, MLPClassifier

CONFIG = {
    "model": {
        "class_path": "lightning_models.image_classifier.ImageClassifier",
        "init_args": {
            "l1": 0.0,
            "optimizer": {"class_path": "torch.optim.Adam", "init_args": {"lr": -1.0, "eps": 1e-8}},
        },
    },
    "trainer": {"accelerator": "gpu", "gradient_clip_val": 1.5, "devices": 3, "max_epochs": 7},
}


def raised(function, *args):
    try:
        function(*args)
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def throw(error):
    raise error


def test_a_message_of_the_trainer_gets_the_option_that_it_names():
    error = raised(throw, MisconfigurationException("gradient_clip_val is not supported here"))
    assert str(run_mistake(error, CONFIG)) == (
        "--trainer.gradient_clip_val is 1.5: gradient_clip_val is not supported here "
        "(leave it out; a GAN clips with --model.gradient_clip_norm)"
    )


def test_a_message_that_quotes_a_value_gets_the_option_that_has_it():
    error = raised(throw, MisconfigurationException("No supported gpu backend found!"))
    assert str(run_mistake(error, CONFIG)).startswith("--trainer.accelerator is gpu: No supported gpu backend found!")


def test_a_message_about_nothing_that_is_known_is_passed_on_whole():
    error = raised(throw, MisconfigurationException("something else\nentirely"))
    assert str(run_mistake(error, CONFIG)) == "something else; entirely"


def test_what_an_optimizer_refuses_in_configure_optimizers():
    def configure_optimizers():
        import torch

        torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=-1.0)

    assert str(run_mistake(raised(configure_optimizers), CONFIG)) == (
        "--model.optimizer.lr is -1.0: Invalid learning rate: -1.0"
    )


def test_the_same_error_elsewhere_is_a_bug():
    assert run_mistake(raised(throw, ValueError("Invalid learning rate: -1.0")), CONFIG) is None
    assert run_mistake(raised(throw, RuntimeError("gradient_clip_val")), CONFIG) is None


def test_what_a_callback_of_lightnings_refuses_on_purpose():
    trainer = Trainer(logger=False, enable_checkpointing=False, enable_progress_bar=False, max_epochs=1)
    stopping = EarlyStopping("val/nope")
    error = raised(stopping._validate_condition_metric, {"val/loss": 1.0})
    assert "`val/nope` which is not available" in str(run_mistake(error, CONFIG))
    assert run_mistake(raised(stopping.on_validation_end, trainer, None, None), CONFIG) is None  # a wrong call: a bug


def test_what_the_disk_refuses_names_the_file():
    error = OSError(errno.ENOSPC, "No space left on device", "runs/a/metrics.csv")
    assert str(run_mistake(raised(throw, error), CONFIG)) == "runs/a/metrics.csv: No space left on device"
    assert run_mistake(raised(throw, OSError(errno.EBADF, "Bad file descriptor", "x")), CONFIG) is None
    assert run_mistake(raised(throw, OSError("disk")), CONFIG) is None


def test_a_user_error_is_passed_on_as_it_is():
    error = UserError("as it is")
    assert run_mistake(error, CONFIG) is error
    assert construction_mistake(error, CONFIG) is error


def test_an_unexpected_error_of_a_constructor_says_what_kind_it_is():
    assert str(construction_mistake(raised(throw, KeyError("x")), {})) == "KeyError: 'x'"
    assert str(construction_mistake(raised(throw, TypeError("x")), {})) == "x"


def test_the_class_that_was_made_is_named_where_no_option_is():
    class Own:
        def __init__(self):
            raise RuntimeError("no")

    config = {"model": {"class_path": "pkg.Own", "init_args": {"width": 3}}}
    assert str(construction_mistake(raised(Own), config)) == "--model: no"


def test_an_error_of_our_own_is_innermost():
    error = raised(throw, ValueError("x"))
    assert innermost(error) is error


@pytest.fixture
def given():
    tree = {
        "model": {"class_path": "GAN", "latent_dim": "x", "optimizer_g": {"class_path": "SGD", "lr": "fast"}},
        "data": "Digits",
        "trainer": {"callbacks": [{"class_path": "EarlyStopping"}], "precision": "bf17"},
        "seed_everything": "x",
    }
    found = Given(tree)
    check_names(found, {"model": None, "data": None, "trainer": Trainer, "seed_everything": None})
    return found


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            "Parser key \"latent_dim\":\n  Expected a <class 'int'>. Got value: x",
            "--model.latent_dim is 'x': expected a whole number",
        ),
        ('Parser key "lr":\n  Given value: fast', "--model.optimizer_g.lr is 'fast': expected a number"),
        (
            'Parser key "seed_everything":\n  Given value: x',
            "--seed_everything is 'x': expected true or false or a whole number",
        ),
        (
            "the following arguments are required: monitor",
            "--trainer.callbacks.monitor is missing: EarlyStopping needs it",
        ),
        ("the following arguments are required: fit.other", "--other is missing"),
        ("what nobody\n  - foresaw", "what nobody; foresaw"),
        ('Parser key "other": is odd', 'Parser key "other": is odd'),
    ],
)
def test_messages_of_the_parser(given, message, expected):
    assert parser_message(message, given) == expected


def test_a_choice_proposes_the_nearest(given):
    message = parser_message('Parser key "trainer.precision":\n  Given value: bf17', given)
    assert message.startswith("--trainer.precision is 'bf17': expected one of 64, 32, 16, ")
    assert message.endswith("; did you mean bf16?")


def test_every_option_of_a_gan_is_known_by_name():
    tree = {"model": {"class_path": "WGANGP", "n_critic": "3", "generator": {"width": "8"}}, "data": "MNIST"}
    found = Given(tree)
    check_names(found, {"model": None, "data": None})
    assert [(path, owner.__name__) for path, _, owner in found.nodes][:2] == [
        ("model", "WGANGP"),
        ("model.generator", "DCGANGenerator"),
    ]
    assert issubclass(found.nodes[0][2], GAN)


def test_what_an_optimizer_refuses_in_a_step():
    weight = torch.nn.Parameter(torch.zeros(1))
    weight.grad = torch.zeros(1)
    error = raised(torch.optim.SparseAdam([weight]).step)
    config = {"model": {"class_path": "GAN", "init_args": {"optimizer_g": {"class_path": "torch.optim.SparseAdam"}}}}
    assert str(run_mistake(error, config)).startswith("--model.optimizer_g: SparseAdam does not support dense gradient")
    optimizer = torch.optim.LBFGS([weight])
    assert run_mistake(raised(optimizer.step, lambda: None), config) is None  # a closure of ours that returns nothing


def test_what_lightning_raises_over_an_option_that_was_set():
    summary = ModelSummary(max_depth=-5)
    trainer = Trainer(logger=False, enable_checkpointing=False, enable_progress_bar=False, max_epochs=1)
    error = raised(summary.on_fit_start, trainer, LightningModule())
    callback = {"class_path": "pytorch_lightning.callbacks.ModelSummary", "init_args": {"max_depth": -5}}
    assert str(run_mistake(error, {"trainer": {"callbacks": [callback]}})).startswith(
        "--trainer.callbacks.max_depth is -5: `max_depth` can be -1, 0 or > 0"
    )
    assert run_mistake(error, {"trainer": {}}) is None  # no option was set: it is our call that was wrong


def test_an_expression_of_a_class_that_fails_is_a_bug_of_the_class():
    class Own:
        def __init__(self):
            {}["width"]

    config = {"model": {"class_path": "pkg.Own", "init_args": {}}}
    assert construction_mistake(raised(Own), config) is None
    assert construction_mistake(raised(build, MLPClassifier, MLPClassifier), config) is None  # without its arguments
    assert "missing 1 required positional" in str(raised(build, MLPClassifier, MLPClassifier, (1, 8, 8)))


def test_an_annotation_that_does_not_say_what_a_network_is_called_with_is_a_bug():
    class Own(ImageClassifier):
        def __init__(self, network: Callable[..., Classifier] = default("MLPClassifier"), **options):
            super().__init__(network=network, **options)

    with pytest.raises(TypeError, match=r"Own.network is annotated with `Callable\[..., \]`: name what it is called"):
        check_names(Given({"model": "Own", "data": "Digits"}), {"model": None, "data": None})


def test_a_flag_with_a_value():
    given = Given({"quiet": "No", "run_dir": "x"})
    assert parser_message("Unrecognized arguments: no", given) == "--quiet is 'no': it takes no value"
    assert parser_message("unrecognized arguments: --other", given) == "unrecognized arguments: --other"
