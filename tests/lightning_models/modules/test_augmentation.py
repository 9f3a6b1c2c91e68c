import pytest
import torch

from lightning_models.modules.augmentation import STEPS, DiffAugment

COLOUR, RANGE = (3, 16, 24), (-1.0, 1.0)


def images(count=200, shape=COLOUR):
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(1)) - 0.5


def augment(*steps, shape=COLOUR, value_range=RANGE, **options):
    return DiffAugment(shape, value_range, steps=steps or None, **options)


def test_brightness_adds_one_number_to_an_image():
    before = images()
    added = augment("brightness")(before) - before
    torch.testing.assert_close(added, added[:, :1, :1, :1].expand_as(added))
    amounts = added[:, 0, 0, 0]
    assert -0.5 <= amounts.min() < -0.45
    assert 0.45 < amounts.max() <= 0.5


@pytest.mark.parametrize(("step", "kept", "lowest", "highest"), [("saturation", 1, 0, 2), ("contrast", 3, 0.5, 1.5)])
def test_saturation_and_contrast_multiply_the_distance_from_a_mean(step, kept, lowest, highest):
    before = images()
    after = augment(step)(before)
    dims = (1,) if kept == 1 else (1, 2, 3)
    mean = before.mean(dim=dims, keepdim=True)
    torch.testing.assert_close(after.mean(dim=dims, keepdim=True), mean, atol=1e-5, rtol=0)
    factors = ((after - mean) * (before - mean)).sum((1, 2, 3)) / (before - mean).square().sum((1, 2, 3))
    torch.testing.assert_close(after, mean + factors.view(-1, 1, 1, 1) * (before - mean), atol=1e-5, rtol=0)
    assert lowest <= factors.min() < lowest + 0.1
    assert highest - 0.1 < factors.max() <= highest


def test_translation_moves_whole_pixels_and_the_middle_of_the_range_moves_in():
    before = images()
    seen = set()
    for one, moved in zip(before, augment("translation")(before), strict=True):
        filled = (moved != 0).any(dim=0)
        rows, columns = filled.any(dim=1).nonzero().flatten(), filled.any(dim=0).nonzero().flatten()
        down, right = int(rows[0]) or int(rows[-1]) - 15, int(columns[0]) or int(columns[-1]) - 23
        seen.add((down, right))
        expected = torch.zeros_like(one)
        target = expected[:, max(0, down) : 16 + min(0, down), max(0, right) : 24 + min(0, right)]
        target.copy_(one[:, max(0, -down) : 16 - max(0, down), max(0, -right) : 24 - max(0, right)])
        assert torch.equal(moved, expected)
    assert {down for down, _ in seen} == set(range(-2, 3))  # an eighth of 16, and of 24
    assert {right for _, right in seen} == set(range(-3, 4))


def test_cutout_hides_half_of_each_side_around_any_pixel():
    before = images() + 2  # nowhere 0
    hidden = (augment("cutout")(before) == 0).all(dim=1)
    heights, widths = hidden.any(dim=2).sum(dim=1), hidden.any(dim=1).sum(dim=1)
    assert heights.max() == 8
    assert widths.max() == 12
    assert heights.min() == 4  # where the middle lies on the border
    assert torch.equal(hidden.sum(dim=(1, 2)), heights * widths)  # a rectangle
    assert hidden.any(dim=0).all()  # every pixel is hidden in some image


@pytest.mark.parametrize("step", STEPS)
def test_a_step_acts_on_any_value_range_alike(step):
    def changed(value_range):
        torch.manual_seed(0)
        low, high = value_range
        scaled = (images(20) + 1) / 2 * (high - low) + low
        return (augment(step, value_range=value_range)(scaled) - low) / (high - low) * 2 - 1

    torch.testing.assert_close(changed((0.0, 1.0)), changed(RANGE), atol=1e-5, rtol=0)


def test_a_probability_changes_so_many_images_and_0_changes_none():
    before = images(2000, (1, 8, 8))
    for step in ("brightness", "contrast", "translation", "cutout"):
        after = augment(step, shape=(1, 8, 8), probability=0.25)(before)
        changed = (after != before).flatten(1).any(dim=1).float().mean().item()
        assert changed == pytest.approx(0.25 if step != "translation" else 0.25 * 8 / 9, abs=0.03), step
    assert torch.allclose(augment(shape=(1, 8, 8), probability=0.0)(before), before)


@pytest.mark.parametrize("step", STEPS)
def test_the_generator_learns_through_every_step_and_a_penalty_can_be_taken(step):
    before = images(4).requires_grad_()
    after = augment(step)(before)
    (gradient,) = torch.autograd.grad(after.square().sum(), before, create_graph=True)
    assert gradient.abs().sum() > 0
    gradient.square().sum().backward()
    assert before.grad.isfinite().all()


def test_translated_gradients_are_those_of_the_pixels_that_stayed_inside():
    before = images(30).requires_grad_()
    after = augment("translation", "cutout")(before)
    after.sum().backward()
    assert torch.equal(before.grad.sum(dim=(2, 3)), (after != 0).float().sum(dim=(2, 3)))


def test_one_channel_images_get_all_that_has_a_meaning_there():
    gray = augment(shape=(1, 8, 8))
    assert gray.own_steps == ["brightness", "contrast", "translation", "cutout"]
    assert gray(images(4, (1, 8, 8))).shape == (4, 1, 8, 8)
    with pytest.raises(ValueError, match="saturation, which has no meaning for one-channel images: leave it out"):
        augment("contrast", "saturation", shape=(1, 8, 8))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": ["colour"]}, "augmentation.steps 'colour' is unknown: choose one of 'brightness'"),
        ({"probability": 1.5}, "augmentation.probability is 1.5: expected a number from 0 to 1"),
        ({"target": 1.0}, "augmentation.target is 1.0: expected a number between -1"),
        ({"ramp_images": 0}, "augmentation.ramp_images is 0"),
        ({"every": 0}, "augmentation.every is 0"),
    ],
)
def test_options_out_of_range_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        DiffAugment(COLOUR, RANGE, **options)


def test_the_layout_and_the_precision_of_the_path_are_kept():
    last = images(3).to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        after = augment()(last)
    assert after.is_contiguous(memory_format=torch.channels_last)
    assert after.dtype == torch.float32
    torch.manual_seed(0)
    one = augment()(last)
    torch.manual_seed(0)
    torch.testing.assert_close(augment()(last.contiguous()), one)


def test_two_processes_change_their_images_as_one_process_would(as_process):
    def changed(rank, world_size, part):
        as_process(rank, world_size)
        torch.manual_seed(0)
        return augment()(part)

    whole = images(6)
    one = changed(0, 1, whole)
    for rank in range(2):
        torch.testing.assert_close(changed(rank, 2, whole[rank::2]), one[rank::2])


def test_an_adaptive_probability_rises_while_the_discriminator_is_too_sure_and_falls_while_it_is_not():
    adaptive = augment(target=0.5, ramp_images=80, every=2)
    sure, unsure = torch.ones(4, 1), torch.tensor([[1.0], [1.0], [-1.0], [-1.0]])
    seen = []
    for batch, decisions in enumerate([sure, sure, sure, unsure, sure, sure, *[unsure] * 6]):
        adaptive.adapt(decisions, batch)
        seen.append(round(adaptive.probability.item(), 3))
    # 8 images in 2 batches are a tenth of the ramp; a mean of exactly the target changes nothing
    assert seen == [0.0, 0.1, 0.1, 0.1, 0.1, 0.2, 0.2, 0.1, 0.1, 0.0, 0.0, 0.0]
    assert adaptive.metrics()["augmentation_probability"] is adaptive.probability
    for batch in range(40):
        adaptive.adapt(sure, batch)
    assert adaptive.probability.item() == 1.0
    assert adaptive.state_dict().keys() == {"probability", "sums"}


def test_a_fixed_probability_stays():
    fixed = augment(probability=0.3)
    for batch in range(8):
        fixed.adapt(torch.ones(100, 1), batch)
    assert fixed.probability.item() == pytest.approx(0.3)
    assert fixed.metrics() == {}


def test_the_rule_looks_at_the_images_of_all_processes(monkeypatch):
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda sums: sums.add_(torch.tensor([-4.0, 4.0])))
    adaptive = augment(target=0.5, ramp_images=8, every=1)
    adaptive.probability.fill_(0.9)
    adaptive.adapt(torch.ones(4, 1), 0)  # the mean of all is 0
    assert adaptive.probability.item() == pytest.approx(0.0, abs=1e-6)
