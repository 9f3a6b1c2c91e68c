"""A checkpoint has a module imported only if it is this project's, was named by the user, or is imported already."""

import sys

import pytest

from lab.errors import UserError
from lightning_models.losses import Hinge
from lightning_models.modules.class_paths import (
    allowed,
    check_checkpoint_names,
    class_at,
    module_at,
    no_such_module,
    packages_in,
)


@pytest.fixture
def on_the_path(tmp_path, monkeypatch):
    """A function (name, source) that puts a module on the Python path; all of them are forgotten afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def write(name, source):
        path = tmp_path.joinpath(*name.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)

    yield write
    for name in set(sys.modules) - before:
        del sys.modules[name]


def names(*class_paths):
    """A checkpoint whose options name these classes, at several depths."""
    return {"hyper_parameters": {"networks": [{"class_path": p, "init_args": {"width": 3}} for p in class_paths]}}


def refused(checkpoint):
    with pytest.raises(UserError) as error:
        check_checkpoint_names(checkpoint, "a.ckpt")
    return str(error.value)


def test_a_module_that_nobody_has_named_is_not_imported(on_the_path):
    on_the_path("evil", "raise SystemExit('the module ran')")
    assert refused(names("torch.nn.ReLU", "evil.X")) == (
        "a.ckpt names evil.X, which is no class of this project, and nothing was imported for it: if you trust evil, "
        "add --allow evil (in Python: import evil before)"
    )
    assert "evil" not in sys.modules


@pytest.mark.parametrize(
    "checkpoint",
    [
        {"model_class": "evil.X"},
        {"hyper_parameters": {"network": {"class_path": "a", "init_args": {"network": {"class_path": "evil.X"}}}}},
        {"hparams": {"generator": {"class_path": "evil.sub.X"}}},  # as Lightning 0.6 called them
        {"hyper_parameters": {"_instantiator": "pytorch_lightning.cli.instantiate_module", "generator": "evil.X"}},
    ],
)
def test_wherever_it_is_named(checkpoint):
    assert refused(checkpoint).startswith("a.ckpt names ")


def test_classes_of_the_project_and_of_what_is_imported_are_known():
    check_checkpoint_names(names("lightning_models.networks.MLPGenerator", "torch.optim.Adam"), "a.ckpt")
    check_checkpoint_names(names("lightning_models.objectives.Hinge"), "a.ckpt")  # of version 0.1
    check_checkpoint_names({}, "a.ckpt")


def test_a_package_is_allowed_for_a_while():
    checkpoint = names("evil.sub.X")
    with allowed(["evil"]):
        check_checkpoint_names(checkpoint, "a.ckpt")
        with allowed(["other"]):
            check_checkpoint_names(checkpoint, "a.ckpt")
        assert "names evilish.X" in refused(names("evilish.X"))
    assert "names evil.sub.X" in refused(checkpoint)


def test_the_packages_that_a_config_names():
    config = {"model": {"class_path": "my_pkg.a.MyGAN"}, "trainer": {"callbacks": [{"class_path": "other.C"}]}}
    assert packages_in(config) == {"my_pkg", "other"}
    assert packages_in(None) == set()


def test_a_class_is_found_by_its_path_of_today_or_of_an_earlier_version():
    assert class_at("lightning_models.losses.Hinge") is class_at("lightning_models.objectives.Hinge") is Hinge


def test_a_typo_names_the_nearest_module_or_class(on_the_path):
    on_the_path("my_pkg.__init__", "")
    on_the_path("my_pkg.networks", "class MyGenerator: pass")
    for path, message in (
        ("no_such_pkg.X", "there is no module no_such_pkg; is its folder on the Python path?"),
        ("my_pgk.networks.X", "there is no module my_pgk; did you mean my_pkg"),
        ("my_pkg.network.X", "there is no module my_pkg.network; did you mean networks?; is its folder on the Python"),
        ("my_pkg.networks.MyGenerater", "there is no MyGenerater in the module my_pkg.networks; did you mean MyGenera"),
        ("my_pkg.networks.inner.X", "there is no module my_pkg.networks.inner; is its folder on the Python path?"),
        ("MyGenerator", "MyGenerator is no class path: give one such as my_package.MyGenerator"),
    ):
        with pytest.raises(UserError) as error:
            class_at(path)
        assert str(error.value).startswith(message)
    assert class_at("my_pkg.networks.MyGenerator").__name__ == "MyGenerator"
    assert no_such_module("my_pkg.networks.Other") == "there is no Other in the module my_pkg.networks"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import nowhere_at_all", "it imports nowhere_at_all, which is missing"),
        ("x = (", "SyntaxError: '(' was never closed"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
    ],
)
def test_a_module_that_fails_is_one_message(on_the_path, source, reason):
    on_the_path("my_broken", source)
    with pytest.raises(UserError, match="the module my_broken cannot be imported: ") as error:
        module_at("my_broken")
    assert reason in str(error.value)


def test_a_module_that_is_not_there_is_none():
    assert module_at("no_such_module.at.all") is None
    assert module_at("") is None
