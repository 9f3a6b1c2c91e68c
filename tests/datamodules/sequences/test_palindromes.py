import numpy as np
import pytest
import torch

from datamodules.sequences.palindromes import Palindromes, unique_halves


def made(**options):
    data = Palindromes(**{"count": 1000, **options})
    data.setup("fit")
    return data


@pytest.mark.parametrize("length", [2, 5, 6, 20, 37, 60])
def test_they_read_the_same_backwards_and_no_two_are_alike(length):
    data = made(length=length)
    everything = torch.cat([data.train, data.val, data.test])
    assert torch.equal(everything, everything.flip(1))
    assert everything.shape[1] == length
    assert (everything.min(), everything.max()) == (0, 9)
    assert len(everything.unique(dim=0)) == len(everything) == min(1000, 10 ** ((length + 1) // 2))


def test_of_length_5_there_are_only_a_thousand():
    data = made(length=5, count=100_000)
    assert [len(data.train), len(data.val), len(data.test)] == [800, 100, 100]
    assert len(data.train_dataloader()) == 7
    halves = torch.cat([data.train, data.val, data.test])[:, :3] @ torch.tensor([100, 10, 1])
    assert torch.equal(halves.sort().values, torch.arange(1000))


def test_each_split_has_the_share_that_was_asked_for():
    data = made(train_fraction=0.5, test_fraction=0.2)
    loaders = (data.train_dataloader(), data.val_dataloader(), data.test_dataloader())
    assert [sum(len(batch[-1]) for batch in loader) for loader in loaders] == [500, 300, 200]


def test_of_length_10_there_are_as_many_as_report_3_has():
    halves = unique_halves(100_000, 5, seed=42)
    numbers = halves @ np.array([10_000, 1000, 100, 10, 1])
    assert sorted(numbers) == list(range(100_000))
    assert list(numbers) != list(range(100_000))


@pytest.mark.parametrize("one_hot", [False, True])
def test_the_label_is_the_first_digit(one_hot):
    data = made(length=7, one_hot=one_hot)
    for digits, lengths, labels in (next(iter(data.train_dataloader())), next(iter(data.val_dataloader()))):
        assert digits.shape == (len(labels), 6)
        assert digits.dtype == (torch.int64 if one_hot else torch.float32)
        assert torch.equal(digits[:, 0].long(), labels)
        assert (lengths == 6).all()
    assert data.vocabulary == (list("0123456789") if one_hot else None)
    assert data.class_names == list("0123456789")


def test_the_palindromes_depend_on_their_own_seed_only():
    assert torch.equal(made(length=9, seed=1).train, made(length=9, seed=2).train)
    assert not torch.equal(made(length=9).train, made(length=9, data_seed=1).train)
    first = [next(iter(made(length=9, seed=seed).train_dataloader()))[2] for seed in (1, 1, 2)]
    assert torch.equal(first[0], first[1])
    assert not torch.equal(first[0], first[2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": 1}, "length is 1: a palindrome whose last digit is to be told has at least 2"),
        ({"count": 5}, "count is 5: use at least 10 palindromes"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"train_fraction": 0.9}, "train_fraction 0.9 and test_fraction 0.1 leave nothing for validation"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        Palindromes(**options)
