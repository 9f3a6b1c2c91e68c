import functools

import pytest
import torch

from lightning_models.losses.objectives import LeastSquares, NonSaturating, Objective
from lightning_models.modules.injection import build, default, describe
from lightning_models.modules.optimizers import build_optimizer


def test_an_object_a_class_a_partial_and_a_dict_describe_the_same_thing():
    as_dict = default("lightning_models.losses.objectives.LeastSquares", real_label=0.9, fake_label=0.0)
    assert describe(LeastSquares(real_label=0.9)) == as_dict
    assert describe(functools.partial(LeastSquares, real_label=0.9, fake_label=0.0)) == as_dict
    assert describe(LeastSquares) == default("lightning_models.losses.objectives.LeastSquares")
    assert describe(as_dict) == as_dict
    built = build(as_dict, Objective)
    assert isinstance(built, LeastSquares)
    assert built.real_label == 0.9


def test_what_cannot_be_kept_in_a_checkpoint_is_refused():
    with pytest.raises(ValueError, match=r"cannot be stored in a checkpoint: use a class, functools\.partial"):
        describe({"optimizer": lambda parameters: torch.optim.Adam(parameters)})


def test_a_description_of_another_kind_of_object_is_refused_before_it_is_made():
    with pytest.raises(ValueError, match=r"subprocess\.Popen is not a kind of Objective"):
        build(default("subprocess.Popen", args=["true"]), Objective)
    with pytest.raises(ValueError, match="expected a kind of Objective"):
        build(lambda: 3, Objective)
    assert isinstance(build(NonSaturating, Objective), NonSaturating)


def test_optimizers_are_fused_unless_the_config_chooses():
    parameters = [torch.nn.Parameter(torch.zeros(3))]
    adam = build_optimizer(default("torch.optim.Adam", lr=0.5, betas=[0.1, 0.2]), parameters)
    assert adam.param_groups[0]["fused"] is True
    assert adam.param_groups[0]["lr"] == 0.5
    assert list(adam.param_groups[0]["betas"]) == [0.1, 0.2]
    assert build_optimizer(default("torch.optim.AdamW", lr=0.5), parameters).param_groups[0]["fused"] is True
    assert not build_optimizer(default("torch.optim.Adam", fused=False), parameters).param_groups[0]["fused"]
    assert not build_optimizer(default("torch.optim.Adam", foreach=True), parameters).param_groups[0]["fused"]
    assert "fused" not in build_optimizer(default("torch.optim.RMSprop"), parameters).param_groups[0]


def test_an_object_that_forgot_its_options_is_refused():
    with pytest.raises(ValueError, match="cannot be stored in a checkpoint"):
        describe(torch.nn.Linear(2, 3))  # its `bias` is a tensor, its `device` is not kept
    assert describe(torch.nn.ReLU(inplace=True))["init_args"] == {"inplace": True}
