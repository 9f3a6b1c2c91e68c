import pytest
import torch

from lightning_models.modules.image_generator import ImageGenerator
from lightning_models.modules.latent import interpolate, own_noise_like, sample_latent, sample_latent_of_any_number


def test_normal_latent_vectors_are_standard_normal():
    latent = sample_latent(1000, 50, "normal", "cpu", torch.Generator().manual_seed(0))
    assert latent.shape == (1000, 50)
    assert latent.mean().item() == pytest.approx(0, abs=0.02)
    assert latent.std().item() == pytest.approx(1, abs=0.02)


def test_uniform_latent_vectors_fill_minus_one_to_one():
    latent = sample_latent(1000, 50, "uniform", "cpu", torch.Generator().manual_seed(0))
    assert latent.min().item() == pytest.approx(-1, abs=0.001)
    assert latent.max().item() == pytest.approx(1, abs=0.001)
    assert latent.mean().item() == pytest.approx(0, abs=0.02)


def test_normal_over_max_divides_by_the_largest_value_of_the_batch():
    normal = torch.randn(128, 100, generator=torch.Generator().manual_seed(0))
    latent = sample_latent(128, 100, "normal_over_max", "cpu", torch.Generator().manual_seed(0))
    assert torch.equal(latent, normal / normal.max())
    assert latent.max().item() == 1
    assert latent.std().item() == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize("distribution", ["normal", "uniform", "normal_over_max"])
def test_two_processes_together_draw_what_one_draws_for_the_global_batch(distribution):
    def draw(count, rank, world_size):
        torch.manual_seed(0)  # every process starts from the same seed
        return sample_latent(count, 5, distribution, "cpu", rank=rank, world_size=world_size)

    whole, first, second = draw(8, 0, 1), draw(4, 0, 2), draw(4, 1, 2)
    assert torch.equal(torch.stack([first, second], dim=1).flatten(0, 1), whole)
    assert not torch.equal(first, second)


def test_rank_and_world_size_are_those_of_the_distributed_run(monkeypatch):
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 3)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 2)
    own = sample_latent(4, 5, "normal", "cpu", torch.Generator().manual_seed(0))
    assert torch.equal(own, torch.randn(12, 5, generator=torch.Generator().manual_seed(0))[2::3])


def test_one_process_may_draw_what_all_share(monkeypatch):
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 3)
    shared = sample_latent(4, 5, "normal", "cpu", torch.Generator().manual_seed(0), world_size=1)
    assert torch.equal(shared, torch.randn(4, 5, generator=torch.Generator().manual_seed(0)))


@pytest.mark.parametrize("count", [1, 2, 10, 128, 250, 1000])
def test_normal_over_max_has_the_scale_of_a_batch_of_128_however_many_are_drawn(count):
    generator = torch.Generator().manual_seed(0)
    drawn = [sample_latent_of_any_number(count, 100, "normal_over_max", generator) for _ in range(20)]
    assert {latent.shape for latent in drawn} == {(count, 100)}
    expected = [sample_latent(128, 100, "normal_over_max", "cpu", generator).std() for _ in range(20)]
    assert torch.cat(drawn).std().item() == pytest.approx(torch.stack(expected).mean().item(), rel=0.05)


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
def test_the_other_distributions_are_drawn_at_once(distribution):
    any_number = sample_latent_of_any_number(300, 5, distribution, torch.Generator().manual_seed(0))
    at_once = sample_latent(300, 5, distribution, "cpu", torch.Generator().manual_seed(0))
    assert torch.equal(any_number, at_once)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_noise_on_images_is_that_of_the_global_batch(as_process, memory_format, dtype):
    images = torch.zeros(6, 3, 4, 4, dtype=dtype).to(memory_format=memory_format)
    torch.manual_seed(0)
    whole = own_noise_like(images)
    torch.manual_seed(0)
    assert torch.equal(whole, torch.randn_like(images))
    assert whole.dtype == dtype
    for rank in (0, 1):
        as_process(rank, 2)
        torch.manual_seed(0)
        assert torch.equal(own_noise_like(images[:3]), whole[rank::2])


@pytest.mark.parametrize("mode", ["linear", "spherical"])
@pytest.mark.parametrize("steps", [2, 3, 9])
def test_both_end_points_are_on_the_path_bit_for_bit(mode, steps):
    for start, end in torch.randn(20, 2, 100, generator=torch.Generator().manual_seed(0)):
        path = interpolate(start, end, steps, mode)
        assert path.shape == (steps, 100)
        assert torch.equal(path[0], start)
        assert torch.equal(path[-1], end)


def test_linear_interpolation_takes_equal_steps_on_a_straight_line():
    path = interpolate(torch.tensor([0.0, 2.0]), torch.tensor([4.0, 0.0]), 5, "linear")
    torch.testing.assert_close(path, torch.tensor([[0, 2], [1, 1.5], [2, 1], [3, 0.5], [4, 0]]))


def test_spherical_interpolation_keeps_the_length_and_turns_in_equal_angles():
    start, end = 5 * torch.nn.functional.normalize(torch.randn(2, 100, generator=torch.Generator().manual_seed(0)))
    path = interpolate(start, end, 9, "spherical")
    torch.testing.assert_close(path.norm(dim=1), torch.full((9,), 5.0))
    cosines = torch.cosine_similarity(path[1:], path[:-1])
    torch.testing.assert_close(cosines, cosines[:1].expand(8))
    assert interpolate(start, end, 9, "linear").norm(dim=1).min() < 4  # which the straight line does not


def test_spherical_interpolation_between_unequal_nearly_opposite_vectors_takes_equal_steps_in_length():
    path = interpolate(torch.tensor([1.0, 0.0]), torch.tensor([-2.0, 0.02]), 9, "spherical")
    torch.testing.assert_close(path.norm(dim=1), torch.linspace(1, 2, 9), rtol=1e-3, atol=0)


@pytest.mark.parametrize("factor", [1.0, 2.0, -1.0, 0.0], ids=["equal", "parallel", "opposite", "zero"])
def test_spherical_interpolation_is_linear_where_no_angle_is_defined(factor):
    start = torch.randn(100, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        interpolate(start, factor * start, 5, "spherical"), interpolate(start, factor * start, 5, "linear")
    )


@pytest.mark.parametrize("steps", [1, 0])
def test_an_interpolation_needs_two_steps(steps):
    with pytest.raises(ValueError, match=f"an interpolation of {steps} steps .* at least 2"):
        interpolate(torch.zeros(2), torch.ones(2), steps, "linear")


def test_unknown_choices_are_answered_with_the_known_ones():
    with pytest.raises(ValueError, match="'gauss' is unknown: choose one of 'normal', 'uniform', 'normal_over_max'"):
        sample_latent(1, 1, "gauss", "cpu")
    with pytest.raises(ValueError, match="'cubic' is unknown: choose one of 'linear', 'spherical'"):
        interpolate(torch.zeros(2), torch.ones(2), 3, "cubic")


@pytest.mark.parametrize(("given", "mode"), [({}, "spherical"), ({"mode": "linear"}, "linear")])
def test_models_interpolate_on_a_sphere_by_default(given, mode):
    class Latent(ImageGenerator):
        def draw_vectors(self, count, generator):
            return torch.randn(count, 3, generator=generator)

        def decode(self, latent):
            return latent

    start, end = torch.randn(2, 3, generator=torch.Generator().manual_seed(4))
    assert torch.equal(Latent().interpolation(5, seed=4, **given), interpolate(start, end, 5, mode))
