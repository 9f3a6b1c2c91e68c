import math

import pytest
import torch

from lightning_models.losses.objectives import (
    Hinge,
    LeastSquares,
    Minimax,
    NonSaturating,
    RelativisticPairing,
    Wasserstein,
)

LN_2 = math.log(2)
ALL = [NonSaturating(), Minimax(), LeastSquares(), Wasserstein(), Hinge(), RelativisticPairing()]


def name(objective):
    return type(objective).__name__


def column(*logits):
    return torch.tensor(logits).unsqueeze(1)


@pytest.mark.parametrize(
    ("objective", "undecided", "d_loss", "g_loss"),
    [
        (NonSaturating(), 0.0, 2 * LN_2, LN_2),
        (Minimax(), 0.0, 2 * LN_2, -LN_2),
        (LeastSquares(), 0.5, 0.25, 0.125),
        (Wasserstein(), 0.7, 0.0, -0.7),
        (Hinge(), 0.0, 2.0, 0.0),
        (RelativisticPairing(), 0.7, LN_2, LN_2),
    ],
    ids=name,
)
def test_loss_when_the_discriminator_cannot_tell(objective, undecided, d_loss, g_loss):
    logits = torch.full((8, 1), undecided)
    assert objective.discriminator_loss(logits, logits).item() == pytest.approx(d_loss)
    assert objective.generator_loss(logits, logits).item() == pytest.approx(g_loss)


@pytest.mark.parametrize(
    ("objective", "d_loss", "g_loss"),
    [
        # sigmoid(ln 3) = 3/4, sigmoid(-ln 3) = 1/4
        (NonSaturating(), 2 * math.log(4 / 3), math.log(4)),
        (Minimax(), 2 * math.log(4 / 3), math.log(3 / 4)),
        (LeastSquares(), 0.5 * ((math.log(3) - 1) ** 2 + math.log(3) ** 2), 0.5 * (math.log(3) + 1) ** 2),
        (Wasserstein(), -2 * math.log(3), math.log(3)),
        (Hinge(), 0.0, math.log(3)),
        (RelativisticPairing(), math.log(10 / 9), math.log(10)),  # sigmoid(2 ln 3) = 9/10
    ],
    ids=name,
)
def test_loss_when_the_discriminator_is_right(objective, d_loss, g_loss):
    real, fake = torch.full((8, 1), math.log(3)), torch.full((8, 1), -math.log(3))
    assert objective.discriminator_loss(real, fake).item() == pytest.approx(d_loss)
    assert objective.generator_loss(fake, real).item() == pytest.approx(g_loss)


def test_a_relativistic_pair_is_a_real_image_and_the_fake_one_in_its_place():
    real, fake = column(3.0, 0.0), column(0.0, -3.0)
    assert RelativisticPairing().discriminator_loss(real, fake).item() == pytest.approx(math.log(1 + math.exp(-3)))
    assert RelativisticPairing().generator_loss(fake, real).item() == pytest.approx(math.log(1 + math.exp(3)))
    assert RelativisticPairing().threshold(real, fake).item() == 0.0


def test_only_a_relativistic_generator_is_pulled_by_the_real_images():
    fake = column(0.3, -0.4)
    for objective in ALL:
        losses = [objective.generator_loss(fake, real).item() for real in (column(1.0, 2.0), column(-3.0, 0.5))]
        assert (losses[0] != losses[1]) is objective.compares is isinstance(objective, RelativisticPairing)


def test_hinge_charges_only_what_is_inside_the_margin():
    assert Hinge().discriminator_loss(column(3.0, 0.5), column(-3.0, 1.0)).item() == pytest.approx(0.25 + 1.0)


@pytest.mark.parametrize("objective", [one for one in ALL if not one.compares], ids=name)
def test_real_and_fake_batches_of_different_size_weigh_the_same(objective):
    real, fake = column(0.3, -1.2), column(0.8, 0.1, -0.4)
    once = objective.discriminator_loss(real, fake)
    torch.testing.assert_close(objective.discriminator_loss(real.repeat(5, 1), fake), once)


@pytest.mark.parametrize("labels", [(0.9, 0.1), (0.9, 0.0), (1.0, 0.1)])
def test_smoothed_cross_entropy_is_lowest_at_the_labels_own_entropy(labels):
    objective = NonSaturating(*labels)
    # A label of exactly 1 or 0 adds nothing at a logit that is large enough.
    real, fake = (torch.logit(torch.tensor([[label]]), eps=1e-6) for label in labels)
    floor = sum(-p * math.log(p) - (1 - p) * math.log(1 - p) for p in labels if 0 < p < 1)
    assert objective.discriminator_loss(real, fake).item() == pytest.approx(floor, abs=1e-5)
    for shift in (-0.5, 0.5):
        assert objective.discriminator_loss(real + shift, fake).item() > floor - 1e-6
        assert objective.discriminator_loss(real, fake + shift).item() > floor - 1e-6


def test_with_labels_of_report_5_the_floor_is_twice_0_325():
    logit = math.log(9)
    loss = NonSaturating(real_label=0.9, fake_label=0.1).discriminator_loss(column(logit), column(-logit))
    assert loss.item() == pytest.approx(2 * 0.3250830)


def test_smoothed_least_squares_is_zero_at_the_labels():
    objective = LeastSquares(real_label=0.9, fake_label=0.1)
    assert objective.discriminator_loss(column(0.9), column(0.1)).item() == pytest.approx(0)
    assert objective.discriminator_loss(column(1.0), column(0.0)).item() == pytest.approx(0.01)


@pytest.mark.parametrize("objective", [NonSaturating, Minimax, LeastSquares])
def test_the_generator_is_trained_towards_label_one_whatever_the_labels(objective):
    fake = column(0.3, -2.0)
    assert torch.equal(objective(0.9, 0.1).generator_loss(fake, fake), objective().generator_loss(fake, fake))


def test_the_non_saturating_gradient_is_largest_where_the_discriminator_is_sure():
    saturated = torch.tensor([[-20.0]], requires_grad=True)
    NonSaturating().generator_loss(saturated, saturated).backward()
    assert saturated.grad.item() == pytest.approx(-1)
    saturated.grad = None
    Minimax().generator_loss(saturated, saturated).backward()
    assert saturated.grad.item() == pytest.approx(-math.exp(-20))


@pytest.mark.parametrize("objective", ALL, ids=name)
def test_losses_of_extreme_half_precision_logits_are_finite_and_float32(objective):
    extreme = torch.tensor([[-3e4], [3e4]], dtype=torch.bfloat16)
    for loss in (objective.discriminator_loss(extreme, extreme), objective.generator_loss(extreme, extreme)):
        assert loss.dtype == torch.float32
        assert loss.isfinite()
    assert objective.score(extreme).dtype == torch.float32


@pytest.mark.parametrize("objective", ALL, ids=name)
def test_minimising_the_loss_tells_real_from_fake_and_the_generator_undoes_it(objective):
    real, fake = column(0.4).requires_grad_(), column(0.6).requires_grad_()
    objective.discriminator_loss(real, fake).backward()
    assert real.grad.item() < 0 < fake.grad.item()
    fake.grad = None
    objective.generator_loss(fake, real.detach()).backward()
    assert fake.grad.item() < 0


@pytest.mark.parametrize(
    "objective",
    [NonSaturating(0.9, 0.1), Minimax(0.9), LeastSquares(0.9, 0.1), Wasserstein(), Hinge(), RelativisticPairing()],
    ids=name,
)
def test_accuracy_counts_hard_decisions_even_with_smoothed_labels(objective):
    # Also right for 0.5 (least squares) and for the middle of the two means (Wasserstein): 1.4 and -1.4.
    real, fake = column(2.0, 3.0, 1.6, -1.0), column(-2.0, 3.0)
    assert [share.item() for share in objective.accuracy(real, fake)] == [0.75, 0.5]


def test_least_squares_decides_half_way_between_its_labels():
    assert [share.item() for share in LeastSquares().accuracy(column(0.6, 0.4), column(0.4, 0.1))] == [0.5, 1.0]


def test_wasserstein_accuracy_does_not_depend_on_the_critics_arbitrary_zero():
    real, fake = column(1.0, 2.0, -0.5), column(-1.0, 0.8)
    shares = [share.item() for share in Wasserstein().accuracy(real + 100, fake + 100)]
    assert shares == [share.item() for share in Wasserstein().accuracy(real, fake)]
    assert shares == pytest.approx([2 / 3, 0.5])


def test_a_discriminator_that_answers_the_same_for_all_is_right_about_the_fake_ones_only():
    same = torch.zeros(4, 1)
    assert [share.item() for share in NonSaturating().accuracy(same, same)] == [0, 1]


def test_score_is_a_probability_for_cross_entropy_and_raw_otherwise():
    logits = column(-math.log(3), 0.0, math.log(3))
    torch.testing.assert_close(NonSaturating().score(logits), column(0.25, 0.5, 0.75))
    torch.testing.assert_close(Minimax().score(logits), column(0.25, 0.5, 0.75))
    for objective in (LeastSquares(), Wasserstein(), Hinge()):
        assert torch.equal(objective.score(logits), logits)


@pytest.mark.parametrize("objective", [Wasserstein, Hinge])
def test_losses_without_labels_refuse_smoothing(objective):
    with pytest.raises(ValueError, match=rf"{objective.__name__} has no labels .* nothing .* real_label \(0.9\)"):
        objective(real_label=0.9)


@pytest.mark.parametrize("labels", [(1.1, 0.0), (1.0, -0.1), (0.1, 0.9), (0.5, 0.5)])
@pytest.mark.parametrize("objective", [NonSaturating, Minimax, LeastSquares])
def test_labels_must_be_ordered_and_between_zero_and_one(objective, labels):
    with pytest.raises(ValueError, match=f"fake_label {labels[1]} and real_label {labels[0]}"):
        objective(*labels)
