import pytest
import torch

from datamodules.sequences.names import Languages, Names
from datamodules.sequences.pieces import cut
from tests.datamodules.sequences.line_files import texts, write_classes


def test_pieces_have_every_length_and_place():
    begins, lengths = torch.full((5000,), 100), torch.full((5000,), 12)
    places, pieces = cut(begins, lengths, (5, 20), torch.Generator().manual_seed(0))
    assert set(pieces.tolist()) == set(range(5, 13))
    assert ((places >= 100) & (places + pieces <= 112)).all()
    fives = places[pieces == 5]
    assert set(fives.tolist()) == set(range(100, 108))
    assert (pieces == 12).float().mean().item() == pytest.approx(9 / 16, abs=0.03)  # of the lengths 12 to 20


def test_the_fewest_and_the_most_characters_are_both_drawn():
    begins, lengths = torch.zeros(2000, dtype=torch.int64), torch.full((2000,), 100)
    _, pieces = cut(begins, lengths, (5, 20), torch.Generator().manual_seed(0))
    assert set(pieces.tolist()) == set(range(5, 21))
    assert set(cut(begins, lengths, (7, 7), torch.Generator().manual_seed(0))[1].tolist()) == {7}


def test_training_pieces_change_and_evaluation_pieces_stay(tmp_path):
    lines = {name: [f"{name} {n} " + "the quick brown fox " * 5 for n in range(40)] for name in ("x", "y")}
    data = Languages(write_classes(tmp_path, lines), batch_size=100, split_seed=3)
    data.setup("fit")
    loader = data.train_dataloader()
    first = next(iter(loader))
    loader.set_epoch(1)
    second = next(iter(loader))
    assert first[1].min() >= 10
    assert first[1].max() <= 100
    assert sorted(texts(data, first)) != sorted(texts(data, second))
    everything = [line for lines in data.lines["train"].values() for line in lines]
    assert all(any(piece in line for line in everything) for piece, _ in texts(data, first))
    evaluated = [texts(data, next(iter(data.val_dataloader()))) for _ in range(2)]
    assert evaluated[0] == evaluated[1]
    other = Languages(data.path, batch_size=100, split_seed=4, vocabulary=data.vocabulary)
    other.lines = data.lines  # divided alike, but cut by another seed
    other.setup("validate")
    assert sorted(texts(other, next(iter(other.val_dataloader())))) != sorted(evaluated[0])
    assert {10 <= len(piece) <= 50 for piece, _ in evaluated[0]} == {True}


def test_lines_shorter_than_a_piece_are_refused(tmp_path):
    folder = write_classes(tmp_path, {"x": ["long enough for it"] * 3, "y": ["short"]})
    with pytest.raises(
        ValueError, match="longest line of the class y has 5 characters, but pieces are to have 10 to 5"
    ):
        Names(folder, chunk_lengths=(10, 50)).setup("fit")
