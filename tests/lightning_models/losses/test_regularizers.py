import pytest
import torch
from torch import nn

from lightning_models.losses.regularizers import R1, R2, GradientPenalty, Regularizer, Regularizers, WeightClipping
from lightning_models.networks import ConvDiscriminator, DCGANDiscriminator, MLPDiscriminator

IMAGE_SHAPE = (3, 8, 8)


class LinearCritic(nn.Module):
    """slope * <direction, image>, where the direction has length 1 over all of C x H x W."""

    def __init__(self, slope):
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope))
        direction = torch.randn(192, 1, generator=torch.Generator().manual_seed(0))
        self.register_buffer("direction", direction / direction.norm())

    def forward(self, images):
        self.seen = images
        self.autocast = torch.is_autocast_enabled("cpu")
        return self.slope * images.flatten(1) @ self.direction


@pytest.fixture
def real():
    return torch.randn(6, *IMAGE_SHAPE, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def fake():
    return torch.randn(6, *IMAGE_SHAPE, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize(
    ("regularizer", "slope", "penalty", "derivative"),
    [
        (GradientPenalty(), 3.0, 10 * (3 - 1) ** 2, 20 * (3 - 1)),
        (GradientPenalty(), 0.5, 10 * (0.5 - 1) ** 2, 20 * (0.5 - 1)),  # too flat is wrong as well
        (GradientPenalty(weight=2.0), 1.0, 0.0, 0.0),
        (R1(), 3.0, 10 / 2 * 3**2, 10 * 3),
        (R1(weight=2.0), 0.5, 0.25, 1.0),
        (R2(), 3.0, 10 / 2 * 3**2, 10 * 3),
    ],
)
def test_penalty_of_a_linear_critic_and_its_derivative_by_the_slope(
    real, fake, regularizer, slope, penalty, derivative
):
    critic = LinearCritic(slope)
    found = regularizer.penalty(critic, real, fake)
    assert found.item() == pytest.approx(penalty, abs=1e-5)
    found.backward()
    assert critic.slope.grad.item() == pytest.approx(derivative, abs=1e-4)


def test_gradient_penalty_is_taken_at_one_random_point_between_each_real_image_and_its_fake():
    torch.manual_seed(0)
    critic = LinearCritic(1.0)
    GradientPenalty().penalty(critic, torch.ones(100, *IMAGE_SHAPE), torch.zeros(100, *IMAGE_SHAPE))
    shares = critic.seen.flatten(1)  # real is 1, fake is 0
    assert torch.equal(shares, shares[:, :1].expand_as(shares))  # one for all pixels
    assert 0 <= shares.min() < 0.1
    assert 0.9 < shares.max() <= 1
    assert shares.mean().item() == pytest.approx(0.5, abs=0.1)


def test_r1_is_taken_at_the_real_images_and_r2_at_the_generated_ones(real, fake):
    critic = LinearCritic(1.0)
    R1().penalty(critic, real, fake)
    assert torch.equal(critic.seen, real)
    R2().penalty(critic, real, fake)
    assert torch.equal(critic.seen, fake)


def test_several_regularizers_add_up_and_a_lazy_one_counts_for_the_batches_that_it_leaves_out(real, fake):
    critic = LinearCritic(3.0)
    both = Regularizers([R1(weight=2.0), R2(weight=4.0, every=3), WeightClipping(0.5)], critic)
    assert both.metrics() == {}
    found = [both.penalty(critic, real, fake, batch).item() for batch in range(4)]
    assert found == pytest.approx([9 + 3 * 18, 9, 9, 9 + 3 * 18])
    logged = {name: value.item() for name, value in both.metrics().items()}  # also on batches where one is not due
    assert logged == pytest.approx({"penalty": 27, "penalty_r1": 9, "penalty_r2": 18})
    both.after_update(critic)
    assert critic.slope.item() == 0.5


def test_a_batch_without_a_penalty_that_is_due_has_none(real, fake):
    critic = LinearCritic(3.0)
    lazy = Regularizers([GradientPenalty(every=2)], critic)
    assert lazy.penalty(critic, real, fake, batch=1) is None
    assert lazy.penalty(critic, real, fake, batch=2).item() == pytest.approx(2 * 10 * (3 - 1) ** 2)
    assert list(lazy.metrics()) == ["penalty"]
    assert Regularizers([], critic).penalty(critic, real, fake, batch=0) is None


def test_every_regularizer_of_a_list_is_checked():
    discriminator = ConvDiscriminator(IMAGE_SHAPE, channels=(4,), normalization="batch")
    with pytest.raises(ValueError, match="R2 cannot be used with BatchNorm"):
        Regularizers([WeightClipping(), R2()], discriminator)


@pytest.mark.parametrize("every", [0, -1])
def test_a_penalty_is_due_every_so_many_batches(every):
    with pytest.raises(ValueError, match=f"every is {every}: expected at least 1"):
        R1(every=every)


@pytest.mark.parametrize("regularizer", [GradientPenalty(), R1(), R2()])
def test_a_constant_critic_has_finite_gradients(real, fake, regularizer):
    critic = LinearCritic(0.0)
    regularizer.penalty(critic, real, fake).backward()
    assert critic.slope.grad.isfinite()


@pytest.mark.parametrize("regularizer", [GradientPenalty(), R1(), R2()])
def test_the_images_themselves_get_no_gradient(real, fake, regularizer):
    real.requires_grad_()
    fake.requires_grad_()
    regularizer.penalty(LinearCritic(2.0), real, fake).backward()
    assert real.grad is None
    assert fake.grad is None


@pytest.mark.parametrize("regularizer", [GradientPenalty(), R1(), R2()])
@pytest.mark.parametrize(("dtype", "stays"), [(torch.bfloat16, True), (torch.float16, False)])
def test_float16_autocast_is_left_for_the_inner_gradient_and_bfloat16_is_not(real, fake, regularizer, dtype, stays):
    critic = LinearCritic(3.0)
    with torch.autocast("cpu", dtype):
        penalty = regularizer.penalty(critic, real, fake.to(dtype))
        assert torch.is_autocast_enabled("cpu")
    assert critic.autocast is stays
    assert penalty.dtype == torch.float32
    assert penalty.item() == pytest.approx(regularizer.penalty(critic, real, fake).item(), rel=0.05)


@pytest.mark.parametrize("regularizer", [GradientPenalty(), R1(), R2()])
@pytest.mark.parametrize("in_place", [True, False])
def test_penalty_of_a_compiled_discriminator_has_the_gradients_of_an_eager_one(real, fake, regularizer, in_place):
    def gradients(discriminator):
        torch.manual_seed(0)
        parameters = list(discriminator.parameters())
        penalty = regularizer.penalty(discriminator, real, fake)
        # The last bias moves no slope.
        return torch.autograd.grad(discriminator(real).mean() + penalty, parameters)

    eager = MLPDiscriminator(IMAGE_SHAPE, hidden_dims=(16,))
    expected = gradients(eager)
    if in_place:
        compiled = eager
        compiled.compile(backend="aot_eager")  # the part of torch.compile that refuses double backward, and quick
    else:
        compiled = torch.compile(eager, backend="aot_eager")
    torch.testing.assert_close(gradients(compiled), expected)


@pytest.mark.parametrize("regularizer", [GradientPenalty(), R1(), R2()])
@pytest.mark.parametrize("normalization", ["none", "layer", "instance"])
def test_a_penalised_discriminator_learns_from_the_penalty(real, fake, regularizer, normalization):
    torch.manual_seed(0)
    discriminator = DCGANDiscriminator((3, 16, 16), width=8, normalization=normalization)
    regularizer.check(discriminator)
    real, fake = real.repeat(1, 1, 2, 2), fake.repeat(1, 1, 2, 2)
    regularizer.penalty(discriminator, real, fake).backward()
    first_weight = next(discriminator.parameters())
    assert first_weight.grad.abs().sum() > 0


@pytest.mark.parametrize("regularizer", [GradientPenalty(), R1(), R2()])
def test_gradient_penalties_refuse_batch_norm(regularizer):
    discriminator = ConvDiscriminator(IMAGE_SHAPE, channels=(4,), normalization="batch")
    message = (
        rf"{type(regularizer).__name__} cannot .* BatchNorm .*\(layers.1\).* use normalization none, layer or inst"
    )
    with pytest.raises(ValueError, match=message):
        regularizer.check(discriminator)


def test_after_clipping_every_parameter_is_within_the_bound_and_small_ones_are_untouched():
    torch.manual_seed(0)
    critic = DCGANDiscriminator((3, 16, 16), width=8)  # BatchNorm's gains are clipped too
    before = [parameter.detach().clone() for parameter in critic.parameters()]
    regularizer = WeightClipping(clip_value=0.01)
    regularizer.check(critic)
    regularizer.after_update(critic)
    for parameter, old in zip(critic.parameters(), before, strict=True):
        assert torch.equal(parameter.detach(), old.clamp(-0.01, 0.01))
        assert parameter.requires_grad
    assert any((old.abs() > 0.01).any() for old in before)


def test_clipping_refuses_weights_that_are_computed_from_the_clipped_ones():
    critic = DCGANDiscriminator((3, 16, 16), width=8, normalization="none", spectral_norm=True)
    with pytest.raises(ValueError, match=r"cannot bound the weight of layers\.0 .*spectral_norm to false"):
        WeightClipping().check(critic)


@pytest.mark.parametrize("regularizer", [Regularizer(), WeightClipping()])
def test_without_a_penalty_the_discriminator_is_not_even_called(real, fake, regularizer):
    def discriminator(images):
        raise AssertionError

    assert regularizer.penalty(discriminator, real, fake) is None


@pytest.mark.parametrize("build", [WeightClipping, GradientPenalty, R1, R2])
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_strengths_must_be_above_zero(build, value):
    option = "clip_value" if build is WeightClipping else "weight"
    with pytest.raises(ValueError, match=f"{option} is {value}: expected a positive number"):
        build(value)
