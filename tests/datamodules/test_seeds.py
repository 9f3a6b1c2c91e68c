"""Which seed decides what: one the samples and their splits, and `seed` the order of the batches alone."""

import pytest
import torch

from datamodules.images import Digits, ImageFolder, StackedMNIST
from datamodules.sequences import Languages, Names, Palindromes
from tests.datamodules.sequences.line_files import numbered, write_classes
from tests.stand_in_data import write_image_folder, write_mnist


def lines(folder):
    return write_classes(folder / "lines", {name: numbered(f"{name} of many words ", 60) for name in ("x", "y")})


def pictures(folder):
    write_image_folder(folder / "pictures", 60)
    return str(folder / "pictures")


KINDS = {  # how it is made in a folder, and the option that decides what there is
    "Digits": (lambda folder, **options: Digits(**options), "split_seed"),
    "ImageFolder": (
        lambda folder, **options: ImageFolder(pictures(folder), image_size=8, test_fraction=0.1, **options),
        "split_seed",
    ),
    "StackedMNIST": (
        lambda folder, **options: StackedMNIST(50, 20, root=str(write_mnist(folder / "mnist")), **options),
        "stack_seed",
    ),
    "Names": (lambda folder, **options: Names(lines(folder), **options), "split_seed"),
    "Languages": (lambda folder, **options: Languages(lines(folder), **options), "split_seed"),
    "Palindromes": (lambda folder, **options: Palindromes(7, count=500, **options), "data_seed"),
}


def seen(loader):
    """All batches of a loader, one tensor a part."""
    return [[part.clone() for part in batch] for batch in loader]


def same(one, other):
    return len(one) == len(other) and all(
        a.shape == b.shape and torch.equal(a, b)
        for first, second in zip(one, other, strict=True)
        for a, b in zip(first, second, strict=True)
    )


def loaded(kind, folder, **options):
    """Training, validation and test batches."""
    data = KINDS[kind][0](folder, batch_size=16, **options)
    data.prepare_data()
    data.setup("fit")
    return seen(data.train_dataloader()), seen(data.val_dataloader()), seen(data.test_dataloader())


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_of_the_batches_changes_nothing_but_their_order(kind, tmp_path):
    first, again, other = (loaded(kind, tmp_path, seed=seed) for seed in (0, 0, 1))
    assert all(same(*parts) for parts in zip(first, again, strict=True))
    assert [same(*parts) for parts in zip(first, other, strict=True)] == [False, True, True]
    if kind != "Languages":  # whose pieces are drawn anew
        counts = [sorted(torch.cat([batch[-1] for batch in train]).tolist()) for train in (first[0], other[0])]
        assert counts[0] == counts[1]


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_of_the_split_decides_which_samples_are_held_out(kind, tmp_path):
    option = KINDS[kind][1]
    _, val, _ = loaded(kind, tmp_path, **{option: 0})
    _, other, _ = loaded(kind, tmp_path, **{option: 1})
    assert not same(val, other)
