import math
from types import SimpleNamespace

import pytest
import torch
from torch.optim import SGD, Adam

from lab.errors import UserError
from lightning_models.modules.schedules import Constant, Cosine, Linear, OneCycle, Steps, total_batches


def trainer(**options):
    known = {"max_epochs": 2, "max_steps": -1, "num_training_batches": 10, "accumulate_grad_batches": 1}
    return SimpleNamespace(**{**known, **options})


def rates(schedule, steps=20, **options):
    optimizer = SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    configured = schedule.configure(optimizer, trainer(**options))
    seen = []
    for _ in range(steps):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if "lr_scheduler" in configured:
            configured["lr_scheduler"]["scheduler"].step()
    return seen


def test_constant_needs_no_end_and_no_scheduler():
    assert rates(Constant(), max_epochs=-1) == [2.0] * 20


def test_one_cycle_is_torchs():
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = SGD([parameter], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2.0, total_steps=21, cycle_momentum=False)
    expected = []
    for _ in range(20):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step()
    # torch counts the warm-up to step 0.3 * 21 - 1 = 5.3, here it ends at 0.3 * 20 = 6
    assert rates(OneCycle(warmup=5.3 / 20)) == pytest.approx(expected, rel=1e-6)


def test_cosine_warms_up_and_ends_at_its_final_factor():
    seen = rates(Cosine(warmup=0.25, final=0.1), steps=21)
    assert seen[0] == pytest.approx(2e-3)
    assert seen[1:6] == pytest.approx([0.4, 0.8, 1.2, 1.6, 2.0])
    assert seen[5:] == sorted(seen[5:], reverse=True)
    assert seen[20] == pytest.approx(0.2)


def test_steps():
    assert rates(Steps(at=[0.5], gamma=0.1)) == pytest.approx([2.0] * 10 + [0.2] * 10)


def test_the_end_is_the_nearer_of_epochs_and_steps_and_counts_accumulation():
    assert total_batches(trainer()) == 20
    assert total_batches(trainer(max_steps=7)) == 7
    assert total_batches(trainer(max_epochs=-1, max_steps=70)) == 70
    assert total_batches(trainer(accumulate_grad_batches=4)) == 6


def test_without_an_end_a_schedule_says_what_it_needs():
    with pytest.raises(ValueError, match=r"set trainer\.max_epochs or max_steps"):
        rates(OneCycle(), max_epochs=-1, num_training_batches=math.inf)


@pytest.mark.parametrize("build", [lambda: OneCycle(warmup=1.0), lambda: Cosine(warmup=-0.1), lambda: Steps(at=[1.5])])
def test_a_share_out_of_range(build):
    with pytest.raises(ValueError, match="expected a number from 0 to below 1"):
        build()


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [  # at the beginning, a quarter, the middle and the end
        (Constant(), (1, 1, 1, 1)),
        (Cosine(), (1, (1 + math.sqrt(0.5)) / 2, 0.5, 0)),
        (Cosine(warmup=0.5, final=0.2), (1e-3, 0.5, 1, 0.2)),
        (Cosine(initial=0.0, final=1.0), (0, (1 - math.sqrt(0.5)) / 2, 0.5, 1)),  # a memory that grows
        (Cosine(initial=2.0, final=0.5, until=0.5), (2, 1.25, 0.5, 0.5)),
        (Linear(), (1, 0.75, 0.5, 0)),
        (Linear(warmup=0.5, final=0.2), (1e-3, 0.5, 1, 0.2)),
        (Linear(warmup=0.25, initial=3.0, final=1.0, until=0.75), (3e-3, 3, 2, 1)),
        (OneCycle(), (0.04, None, None, 4e-6)),
        (OneCycle(warmup=0.5, initial=0.2, final=0.1), (0.2, 0.6, 1, 0.1)),
        (OneCycle(warmup=0.0, initial=0.2, final=0.0), (1, (1 + math.sqrt(0.5)) / 2, 0.5, 0)),
        (Steps(), (1, 1, 0.1, 0.01)),
        (Steps(at=[0.25, 0.5], gamma=0.5), (1, 0.5, 0.25, 0.25)),
    ],
)
def test_factors_at_the_ends_and_in_between(schedule, factors):
    for progress, factor in zip((0, 0.25, 0.5, 1), factors, strict=True):
        if factor is not None:
            assert schedule.factor(progress) == pytest.approx(factor, abs=1e-12), progress


def test_after_its_end_a_schedule_stays_there():
    assert rates(Cosine(final=0.1), steps=25)[20:] == pytest.approx([0.2] * 5)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Cosine(final=-0.1), r"schedule\.final is -0\.1"),
        (lambda: Linear(initial=-0.1), r"schedule\.initial is -0\.1"),
        (lambda: Linear(until=0.0), r"schedule\.until is 0\.0: expected a number above warmup \(0\.0\), up to 1"),
        (lambda: Cosine(warmup=0.5, until=0.5), r"schedule\.until is 0\.5"),
        (lambda: Cosine(until=1.1), r"schedule\.until is 1\.1"),
        (lambda: Cosine(final_beta2=1.0), r"schedule\.final_beta2 is 1\.0"),
        (lambda: OneCycle(initial=-0.1), r"schedule\.initial is -0\.1"),
        (lambda: OneCycle(final=-0.1), r"schedule\.final is -0\.1"),
        (lambda: Steps(gamma=-0.1), r"schedule\.gamma is -0\.1"),
        (lambda: Cosine(warmup=1.0), r"schedule\.warmup is 1\.0"),
        (lambda: Steps(at=[0.5, 1.0]), r"schedule\.at is 1\.0"),
    ],
)
def test_options_out_of_range_are_named(build, message):
    with pytest.raises(UserError, match=message):
        build()


def test_0_is_in_range():
    assert Cosine(warmup=0.0, final=0.0).factor(0) == 1
    assert OneCycle(warmup=0.0, initial=0.0, final=0.0).factor(1) == 0
    assert Steps(at=[0.0], gamma=0.0).factor(0) == 0


@pytest.mark.parametrize("by_hand", [False, True])
def test_beta2_moves_along_the_curve_of_the_learning_rate(by_hand):
    optimizer = Adam([torch.nn.Parameter(torch.zeros(1))], lr=2.0, betas=(0.5, 0.9))
    schedule = Linear(final=0.5, until=0.5, final_beta2=0.99)
    scheduler = None if by_hand else schedule.configure(optimizer, trainer())["lr_scheduler"]["scheduler"]
    seen = []
    for step in range(20):
        if by_hand:
            schedule.apply(optimizer, step / 20)
        (group,) = optimizer.param_groups
        seen.append((group["lr"], *group["betas"]))
        optimizer.step()
        if not by_hand:
            scheduler.step()
    for step, expected in (
        (0, (2.0, 0.5, 0.9)),
        (5, (1.5, 0.5, 0.945)),
        (10, (1.0, 0.5, 0.99)),
        (19, (1.0, 0.5, 0.99)),
    ):
        assert seen[step] == pytest.approx(expected), step


def test_by_hand_the_rate_is_a_factor_of_the_optimizers_own_whatever_it_was_before():
    optimizer = SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    for progress, expected in ((0.5, 1.0), (0.5, 1.0), (0.25, 1.5)):
        Linear().apply(optimizer, progress)
        assert optimizer.param_groups[0]["lr"] == expected
    Constant().apply(optimizer, 0.9)
    assert optimizer.param_groups[0]["lr"] == 1.5


def test_an_optimizer_without_beta2_says_so():
    optimizer = SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    with pytest.raises(UserError, match=r"final_beta2 is 0\.99, but SGD has no beta2: leave it out, or use Adam"):
        Linear(final_beta2=0.99).apply(optimizer, 0.0)
