"""Tokens here are their own places in the text, so that a batch says which characters it holds."""

import pytest
import torch

from datamodules.text.batches import NOT_SCORED, HeldOutText, TextChunks, TextStreams


def places(count):
    return torch.arange(count, dtype=torch.int32)


def test_every_batch_of_streams_goes_on_where_the_last_one_ended_also_in_the_next_epoch():
    loader = TextStreams(places(103), batch_size=3, chunk_length=8)
    read, flags = [], []
    for epoch in range(5):
        loader.set_epoch(epoch)
        for inputs, targets, continues in loader:
            assert torch.equal(targets, (inputs + 1) % 103)
            read.append(inputs)
            flags.append(continues)
    assert len(loader) == 4
    assert flags == [False] + [True] * 19
    streams = torch.cat(read, dim=1)
    assert streams[:, 0].tolist() == [0, 34, 68]
    assert torch.equal(streams[:, 1:], (streams[:, :-1] + 1) % 103)


def test_an_epoch_that_was_cut_short_is_not_continued():
    loader = TextStreams(places(100), 2, 10)
    flags = []
    for epoch in range(2):
        loader.set_epoch(epoch)
        batches = iter(loader)
        flags += [next(batches)[2] for _ in range(3)]
    assert flags == [False, True, True, False, True, True]


def test_batches_repeat_where_overfitting_asks_for_it():
    for loader in (TextStreams(places(100), 2, 10, repeat=True), TextChunks(places(100), 2, 10, repeat=True)):
        loader.set_epoch(0)
        first = list(loader)
        loader.set_epoch(1)
        second = list(loader)
        assert not second[0][2]
        assert all(torch.equal(a[0], b[0]) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("kind", [TextStreams, TextChunks])
def test_processes_share_the_batches_of_one(kind):
    one = list(kind(places(500), 6, 10))
    shares = [list(kind(places(500), 2, 10, rank=rank, world_size=3)) for rank in range(3)]
    assert all(len(share) == len(one) for share in shares)
    for number, (inputs, targets, continues) in enumerate(one):
        for rank, share in enumerate(shares):
            assert torch.equal(share[number][0], inputs[rank::3])
            assert torch.equal(share[number][1], targets[rank::3])
            assert share[number][2] == continues


@pytest.mark.parametrize("kind", [TextStreams, TextChunks])
def test_a_loader_goes_on_in_the_middle_of_an_epoch(kind):
    straight = kind(places(500), 4, 10)
    straight.set_epoch(3)
    batches = iter(straight)
    for _ in range(5):
        next(batches)
    resumed = kind(places(500), 4, 10)
    resumed.load_state_dict(straight.state_dict())
    resumed.set_epoch(3)
    rest, expected = list(resumed), list(batches)
    assert len(rest) == len(straight) - 5 == len(expected)
    for (inputs, targets, continues), (other_inputs, other_targets, other_continues) in zip(
        rest, expected, strict=True
    ):
        assert torch.equal(inputs, other_inputs)
        assert torch.equal(targets, other_targets)
        assert continues == other_continues == (kind is TextStreams)


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (TextStreams(places(500), 2, 10), "batch size of all processes 4 -> 2"),
        (TextStreams(places(500), 4, 5), "chunk_length 10 -> 5"),
        (TextChunks(places(500), 4, 10), "batches streams -> chunks"),
    ],
)
def test_the_middle_of_an_epoch_is_that_of_the_same_batches(other, told):
    straight = TextStreams(places(500), 4, 10)
    next(iter(straight))
    other.load_state_dict(straight.state_dict())
    with pytest.raises(ValueError, match=f"after 1 batches, and since then {told}: change that at the end"):
        next(iter(other))


def test_chunks_are_drawn_anew_by_seed_epoch_and_position():
    def starts(seed, epoch):
        loader = TextChunks(places(1000), 5, 10, seed=seed)
        loader.set_epoch(epoch)
        batches = list(loader)
        assert all(torch.equal(targets, inputs + 1) and not continues for inputs, targets, continues in batches)
        return torch.cat([inputs[:, 0] for inputs, _, _ in batches])

    first = starts(0, 0)
    assert len(first) == 100
    assert first.unique().numel() > 60
    assert torch.equal(first, starts(0, 0))
    assert not torch.equal(first, starts(0, 1))
    assert not torch.equal(first, starts(1, 0))
    lowest = TextChunks(places(11), 64, 10)  # one place only
    assert next(iter(lowest))[0].tolist() == [list(range(10))] * 64


@pytest.mark.parametrize("context", [0, 5, 40])
@pytest.mark.parametrize("length", [7, 33, 100, 1001])
@pytest.mark.parametrize("world_size", [1, 3])
def test_every_held_out_character_is_scored_once_in_a_row_that_is_read_from_before_it(context, length, world_size):
    text = places(context + length)
    scored = []
    for rank in range(world_size):
        loader = HeldOutText(
            text[context:], text[:context], num_rows=4, chunk_length=16, warm_up=8, rank=rank, world_size=world_size
        )
        batches = list(loader)
        assert len(batches) == len(loader)
        assert [continues for _, _, continues in batches] == [False] + [True] * (len(batches) - 1)
        inputs = torch.cat([batch[0] for batch in batches], dim=1)
        targets = torch.cat([batch[1] for batch in batches], dim=1)
        counts = targets != NOT_SCORED
        assert torch.equal(targets[counts], inputs[counts].long() + 1)
        for row, is_scored in zip(inputs, counts, strict=True):
            if is_scored.any():
                first = int(is_scored.int().argmax())
                assert first >= min(7, context - 1, int(row[first]))  # read before it is judged
                assert row[: int(is_scored.nonzero()[-1]) + 1].diff().eq(1).all()
        scored.append(targets[counts])
    expected = range(max(context, 1), context + length)  # the first character of all follows nothing
    assert torch.cat(scored).sort().values.tolist() == list(expected)


def test_texts_that_are_too_short_are_refused_with_what_would_do():
    with pytest.raises(ValueError, match=r"has 600 characters: 32 streams of 64 need 2,048; use a smaller"):
        TextStreams(places(600), 32, 64)
    with pytest.raises(ValueError, match=r"has 64 characters: a chunk of 64 and the character behind it need 65"):
        TextChunks(places(64), 8, 64)
