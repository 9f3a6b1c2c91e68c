import pytest
import torch

from lightning_models.modules.text_sampling import quick_single_steps, sampling_distribution

LOGITS = torch.tensor([0.5, 0.2, 0.2, 0.1]).log()


@pytest.mark.parametrize(
    ("options", "probabilities"),
    [
        ({}, [0.5, 0.2, 0.2, 0.1]),
        ({"temperature": 0.5}, [25 / 34, 4 / 34, 4 / 34, 1 / 34]),  # squares, normalised
        ({"top_k": 1}, [1, 0, 0, 0]),
        ({"top_k": 2}, [5 / 7, 2 / 7, 0, 0]),  # of two equally likely ones the first
        ({"top_k": 9}, [0.5, 0.2, 0.2, 0.1]),
        ({"top_p": 0.01}, [1, 0, 0, 0]),
        ({"top_p": 0.6}, [5 / 7, 2 / 7, 0, 0]),
        ({"top_p": 0.75}, [5 / 9, 2 / 9, 2 / 9, 0]),
        ({"top_p": 1.0}, [0.5, 0.2, 0.2, 0.1]),
        ({"top_k": 3, "top_p": 0.6}, [5 / 7, 2 / 7, 0, 0]),
    ],
)
def test_distributions(options, probabilities):
    assert sampling_distribution(LOGITS, **options).tolist() == pytest.approx(probabilities, abs=1e-6)
    two = sampling_distribution(torch.stack([LOGITS.flip(0), LOGITS]), **options)
    assert two[1].tolist() == pytest.approx(probabilities, abs=1e-6)


def test_a_tiny_temperature_takes_the_likeliest_and_a_huge_one_takes_any():
    assert sampling_distribution(LOGITS, temperature=1e-3).tolist() == pytest.approx([1, 0, 0, 0])
    assert sampling_distribution(LOGITS, temperature=1e4).tolist() == pytest.approx([0.25] * 4, abs=1e-3)


def test_kernels_are_as_they_were_after_single_steps():
    before, inside = torch.backends.mkldnn.enabled, []

    def interrupted():
        with quick_single_steps():
            inside.append(torch.backends.mkldnn.enabled)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert inside == [False]
    assert torch.backends.mkldnn.enabled == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0.0}, r"the temperature is 0\.0: expected a number above 0"),
        ({"temperature": -1.0}, r"the temperature is -1\.0"),
        ({"temperature": float("nan")}, "the temperature is nan"),
        ({"top_k": 0}, "top-k is 0: expected a whole number from 1 up"),
        ({"top_p": 0.0}, r"top-p is 0\.0: expected a probability above 0 and up to 1"),
        ({"top_p": 1.1}, r"top-p is 1\.1"),
    ],
)
def test_values_out_of_their_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        sampling_distribution(LOGITS, **options)


@pytest.mark.parametrize(("top_p", "expected"), [(0.5, [1, 0]), (0.51, [0.5, 0.5]), (0.49, [1, 0]), (1.0, [0.5, 0.5])])
def test_characters_are_dropped_as_soon_as_the_sum_is_reached(top_p, expected):
    assert sampling_distribution(torch.zeros(2), top_p=top_p).tolist() == expected


def test_a_backend_that_was_off_stays_off(monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)
    with quick_single_steps():
        assert not torch.backends.mkldnn.enabled
    assert not torch.backends.mkldnn.enabled
