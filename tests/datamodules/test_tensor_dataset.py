import itertools

import pytest
import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from datamodules.tensor_dataset import TensorLoader

QUIET = {
    "accelerator": "cpu",
    "logger": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "enable_checkpointing": False,
}


def loader_of(samples, batch_size, **options):
    return TensorLoader((torch.arange(samples),), batch_size, **options)


def batches_of(loader, epoch=0):
    loader.set_epoch(epoch)
    return [batch[0].tolist() for batch in loader]


def flattened(batches):
    return list(itertools.chain.from_iterable(batches))


def test_without_shuffling_batches_are_the_stored_order():
    assert batches_of(loader_of(5, 2)) == [[0, 1], [2, 3], [4]]
    assert batches_of(loader_of(5, 2, drop_last=True)) == [[0, 1], [2, 3]]


@pytest.mark.parametrize(("drop_last", "batches"), [(False, 4), (True, 3)])
def test_length_is_the_number_of_batches(drop_last, batches):
    loader = loader_of(10, 3, shuffle=True, drop_last=drop_last)
    assert len(loader) == batches
    assert len(batches_of(loader)) == batches


@pytest.mark.parametrize("options", [{}, {"drop_last": True}, {"exactly_once": True}])
@pytest.mark.parametrize("rank", [0, 1, 2])
def test_the_sizes_of_batches_are_known_before_any_is_made(options, rank):
    for samples in range(12, 25):
        loader = loader_of(samples, 4, rank=rank, world_size=3, **options)
        assert loader.batch_sizes == [len(batch) for batch in batches_of(loader)]


def test_all_tensors_are_gathered_alike():
    values = torch.arange(20)
    for images, labels in TensorLoader((values.view(20, 1, 1, 1), values), 6, shuffle=True):
        assert images.shape == (len(labels), 1, 1, 1)
        assert images.flatten().tolist() == labels.tolist()


def test_each_epoch_holds_every_sample_once_in_an_order_of_its_own():
    loader = loader_of(50, 8, shuffle=True)
    first, second = batches_of(loader, 0), batches_of(loader, 1)
    assert sorted(flattened(first)) == sorted(flattened(second)) == list(range(50))
    assert first != second


def test_order_is_a_function_of_seed_and_epoch_alone():
    first = batches_of(loader_of(50, 8, shuffle=True, seed=3), 5)
    torch.manual_seed(99)
    again = loader_of(50, 8, shuffle=True, seed=3)
    batches_of(again, 2)  # whatever was seen before
    assert batches_of(again, 5) == first
    assert batches_of(loader_of(50, 8, shuffle=True, seed=4), 5) != first
    assert batches_of(loader_of(50, 8, shuffle=True, seed=5), 3) != first  # seed and epoch are not just added


def test_global_random_state_is_left_alone():
    before = torch.get_rng_state()
    batches_of(loader_of(50, 8, shuffle=True, augment=lambda batch, generator: batch))
    assert torch.equal(torch.get_rng_state(), before)


def test_with_replacement_repeats_samples_in_equally_many_batches():
    drawn = batches_of(loader_of(1000, 100, shuffle=True, with_replacement=True))
    assert [len(batch) for batch in drawn] == [100] * 10
    assert len(set(flattened(drawn))) == pytest.approx(1000 * (1 - 1 / torch.e), abs=40)  # of n draws 1 - 1/e are new


def test_augmentation_is_a_function_of_seed_epoch_position_and_rank():
    def noise(batch, generator):
        return (torch.rand(1, generator=generator),)

    def draws(epoch=0, **options):
        return flattened(batches_of(loader_of(24, 4, augment=noise, **options), epoch))

    assert draws() == draws()
    ranks = [draws(rank=rank, world_size=2) for rank in (0, 1)]
    different = draws() + draws(epoch=1) + draws(seed=1) + ranks[1]
    assert len(set(different)) == len(different) == 6 + 6 + 6 + 3
    assert ranks[0] == draws()[:3]  # the first process draws as if it were alone


# Several processes


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize(("samples", "batch_size", "world_size"), [(24, 4, 2), (26, 4, 2), (27, 4, 3), (8, 1, 4)])
def test_processes_together_see_the_global_batches_of_one(samples, batch_size, world_size, shuffle):
    alone = batches_of(loader_of(samples, batch_size * world_size, shuffle=shuffle))
    ranks = [
        batches_of(loader_of(samples, batch_size, shuffle=shuffle, rank=rank, world_size=world_size))
        for rank in range(world_size)
    ]
    together = [sorted(flattened(batches)) for batches in zip(*ranks, strict=True)]
    assert together == [sorted(batch) for batch in alone]


@pytest.mark.parametrize("exactly_once", [False, True])
@pytest.mark.parametrize("world_size", [1, 2, 3, 4])
@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_processes_have_equally_many_batches_for_any_number_of_samples(batch_size, world_size, exactly_once):
    for samples in range(world_size, 40):
        ranks = [
            batches_of(loader_of(samples, batch_size, exactly_once=exactly_once, rank=rank, world_size=world_size))
            for rank in range(world_size)
        ]
        sizes = [[len(batch) for batch in batches] for batches in ranks]
        seen = sorted(flattened(flattened(ranks)))
        assert len({len(batches) for batches in ranks}) == 1
        assert min(flattened(sizes)) >= 1
        if exactly_once:
            assert seen == list(range(samples))
            assert max(flattened(sizes)) <= batch_size + 1
            assert max(map(sum, sizes)) - min(map(sum, sizes)) <= 1
        else:
            assert seen == list(range(samples - samples % world_size))
            assert all(sizes[0] == other for other in sizes)


def test_processes_are_asked_for_when_needed(monkeypatch):
    loader = loader_of(12, 2)
    assert len(loader) == 6
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 3)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 1)
    assert len(loader) == 2
    assert batches_of(loader) == [[1, 4], [7, 10]]


# State


def test_state_continues_behind_the_last_batch():
    loader = loader_of(20, 3, shuffle=True, seed=7)
    everything = batches_of(loader, epoch=2)
    loader.set_epoch(4)
    loader.set_epoch(2)
    for _, _ in zip(range(3), loader, strict=False):
        state = loader.state_dict()
    assert state.pop("layout") == {"batch size of all processes": 3, "shuffle": True, "with_replacement": False}
    assert state == {"seed": 7, "epoch": 2, "position": 3}

    resumed = loader_of(20, 3, shuffle=True, seed=0)  # the seed comes with the state
    resumed.load_state_dict(state)
    iterator = iter(resumed)  # Lightning calls iter before set_epoch
    resumed.set_epoch(2)
    assert [batch[0].tolist() for batch in iterator] == everything[3:]
    assert batches_of(resumed, 2) == everything  # a second pass is a whole one


def test_state_of_a_finished_epoch_starts_the_next_at_its_beginning():
    loader = loader_of(20, 3, shuffle=True)
    next_epoch = batches_of(loader, 1)
    batches_of(loader, 0)
    resumed = loader_of(20, 3, shuffle=True)
    resumed.load_state_dict(loader.state_dict())
    assert batches_of(resumed, 1) == next_epoch


@pytest.mark.parametrize("change", [{"batch_size": 4}, {"shuffle": False}, {"with_replacement": True}])
def test_state_of_the_middle_of_an_epoch_needs_the_layout_that_it_counts_in(change):
    loader = loader_of(20, 3, shuffle=True)
    for _, _ in zip(range(3), loader, strict=False):
        state = loader.state_dict()
    resumed = loader_of(20, **{"batch_size": 3, "shuffle": True, **change})
    resumed.load_state_dict(state)
    (value,) = change.values()
    with pytest.raises(ValueError, match=f"the middle of an epoch, after 3 batches, and since then .* -> {value}: "):
        next(iter(resumed))
    resumed.load_state_dict(state)
    resumed.set_epoch(1)  # at the end of an epoch one may go on with any
    assert batches_of(resumed, 1) == batches_of(loader_of(20, **{"batch_size": 3, "shuffle": True, **change}), 1)


def test_two_processes_go_on_in_the_middle_of_an_epoch_of_one_with_half_its_batch_size():
    loader = loader_of(20, 4, shuffle=True)
    everything = batches_of(loader)
    for _, _ in zip(range(2), loader, strict=False):
        state = loader.state_dict()
    shares = []
    for rank in (0, 1):
        half = TensorLoader((torch.arange(20),), 2, shuffle=True, rank=rank, world_size=2)
        half.load_state_dict(state)
        shares.append([batch[0].tolist() for batch in half])
    joint = [[sample for pair in zip(*parts, strict=True) for sample in pair] for parts in zip(*shares, strict=True)]
    assert joint == everything[2:]


def test_state_beyond_the_end_of_the_epoch_is_refused():
    resumed = loader_of(20, 10)
    resumed.load_state_dict({"seed": 0, "epoch": 0, "position": 5})
    with pytest.raises(
        ValueError, match="after 5 batches of an epoch, but now an epoch has 2: resume with the same data"
    ):
        next(iter(resumed))


class Recorder(LightningModule):
    """Keeps what it is trained on as (epoch, samples)."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.seen = []

    def training_step(self, batch, batch_idx):
        self.seen.append((self.current_epoch, batch[0].tolist()))
        return self.layer(batch[0].float().unsqueeze(1)).mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


class SaveAfter(Callback):
    def __init__(self, batches, path):
        self.batches, self.path = batches, path

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == self.batches:
            trainer.save_checkpoint(self.path)


def fit(loader, callbacks=(), ckpt_path=None, **options):
    """What a new model saw in a run of a new Trainer."""
    model = Recorder()
    Trainer(callbacks=list(callbacks), **QUIET, **options).fit(model, loader, ckpt_path=ckpt_path)
    return model.seen


# 20 samples make 7 batches of 3: batch 4 lies in the first epoch, 10 in the second, 14 ends the second.
@pytest.mark.parametrize("stopped_after", [4, 10, 14])
def test_run_resumed_by_lightning_sees_the_batches_of_one_that_was_never_stopped(tmp_path, stopped_after):
    def loader():
        return loader_of(20, 3, shuffle=True)

    straight = fit(loader(), max_epochs=3)
    assert straight == [(epoch, batch) for epoch in range(3) for batch in batches_of(loader(), epoch)]

    path = tmp_path / "stopped.ckpt"
    before = fit(loader(), [SaveAfter(stopped_after, path)], max_steps=stopped_after)
    after = fit(loader(), ckpt_path=path, max_epochs=3)
    assert (len(before), len(after)) == (stopped_after, 21 - stopped_after)
    assert before + after == straight


def test_epoch_cut_short_by_limit_train_batches_shifts_nothing(tmp_path):
    loader, path = loader_of(20, 3, shuffle=True), tmp_path / "end_of_first_epoch.ckpt"
    seen = fit(loader, [SaveAfter(4, path)], max_epochs=3, limit_train_batches=4)
    assert seen == [(epoch, batch) for epoch in range(3) for batch in batches_of(loader, epoch)[:4]]

    after = fit(loader_of(20, 3, shuffle=True), ckpt_path=path, max_epochs=3, limit_train_batches=4)
    assert after == seen[4:]


# Mistakes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0: use a whole number from 1 up"),
        (
            {"batch_size": 64, "drop_last": True},
            "12 samples make no batch of 64 with drop_last: use a batch_size of at",
        ),
        (
            {"batch_size": 5, "drop_last": True, "rank": 0, "world_size": 4},
            "12 samples make no batch of 5 for each of 4 processes with drop_last: use a batch_size of at most 3, or",
        ),
        (
            {"batch_size": 1, "rank": 0, "world_size": 13},
            "12 samples make no batch for each of 13 processes: give more",
        ),
        ({"batch_size": 4, "seed": -1}, "the seed of the order is -1: use a whole number from 0 up"),
        (
            {"batch_size": 4, "with_replacement": True},
            "with_replacement draws at random: it cannot go with shuffle=False",
        ),
        (
            {"batch_size": 4, "drop_last": True, "exactly_once": True},
            "drop_last loses samples: it cannot go with exactly",
        ),
    ],
)
def test_impossible_options_are_explained(options, message):
    with pytest.raises(ValueError, match=message):
        loader_of(12, **options)


def test_tensors_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match=r"tensors of equal length are needed, found \[3, 4\]"):
        TensorLoader((torch.zeros(3), torch.zeros(4)), 2)


def test_a_run_resumed_at_the_end_of_an_epoch_has_nothing_left_of_it():
    loader = TensorLoader((torch.arange(4),), 2)
    loader.load_state_dict({"seed": 0, "epoch": 0, "position": 2})
    assert list(loader) == []
    loader.load_state_dict({"seed": 0, "epoch": 0, "position": 3})
    with pytest.raises(ValueError, match="written after 3 batches of an epoch, but now an epoch has 2"):
        list(loader)
