import functools
import math
from collections import Counter
from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from pytorch_lightning.callbacks import ModelCheckpoint

from datamodules.text import Text
from lightning_models.callbacks.random_state import RandomState
from lightning_models.language_model import CharLanguageModel
from lightning_models.networks.char_rnn import CharRNN
from tests.small_language_models import WORDS, fitted, language_model, trainer, write_words


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A file of words in random order."""
    return write_words(tmp_path_factory.mktemp("text") / "words.txt")


def memoryless_bound(text):
    """The least nats a character, on this very text, of any model that sees the current character alone."""
    pairs, singles = Counter(pairwise(text)), Counter(text[:-1])
    return -sum(count * math.log(count / singles[first]) for (first, _), count in pairs.items()) / (len(text) - 1)


class Forgetful(CharRNN):
    """The classic mistake: the state is set to None at every character (report 1's starter code has it)."""

    def forward(self, tokens, state=None):
        logits, state = super().forward(tokens.reshape(-1, 1))
        return logits.view(*tokens.shape, -1), tuple(part[:, : len(tokens)] for part in state)


@pytest.mark.parametrize("is_forgetful", [False, True])
def test_a_model_that_forgets_its_state_stays_on_the_plateau_of_pairs(tmp_path, written, is_forgetful):
    """On tinyshakespeare the plateau is at 2.45 nats."""
    data = Text(written, batch_size=16, chunk_length=16)
    model = CharLanguageModel(data.vocabulary, functools.partial(Forgetful if is_forgetful else CharRNN, hidden_dim=24))
    used = trainer(tmp_path, max_epochs=4)
    used.fit(model, data)
    held_out = "".join(data.vocabulary[token] for token in data.val_tokens)
    plateau, found = memoryless_bound(held_out), used.callback_metrics["val/nats_per_char"].item()
    words = math.log(len(WORDS)) / 6  # what cannot be known: one of the words every six characters
    assert words < 0.3 < plateau - 0.3
    if is_forgetful:
        assert plateau - 0.01 < found < plateau + 0.1
    else:
        assert words < found < plateau - 0.3


def test_the_state_is_carried_from_batch_to_batch(tmp_path, written):
    """Chunks of one character: all that a model knows of the past is what was carried."""
    data = Text(written, batch_size=16, chunk_length=1)
    nats = {}
    for carry_state in (True, False):
        options = {"max_epochs": 1, "limit_train_batches": 200}
        _, used = fitted(tmp_path, data, trainer_options=options, carry_state=carry_state)
        nats[carry_state] = used.callback_metrics["val/nats_per_char"].item()
    assert nats[True] < nats[False] - 0.1


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_a_batch_that_continues_another_has_the_loss_of_the_text_at_once(tmp_path, cell):
    model = language_model("abcdef", cell)
    model.trainer = trainer(tmp_path, log_every_n_steps=1000)
    text = torch.randint(6, (4, 21))

    def losses(second_continues):
        first = model.training_step((text[:, :10], text[:, 1:11], False), 0)
        second = model.training_step((text[:, 10:20], text[:, 11:21], second_continues), 1)
        return first.item(), second.item()

    logits, _ = model.network(text[:, :20])
    expected = [
        F.cross_entropy(logits[:, part].flatten(0, 1), text[:, 1:][:, part].flatten()).item()
        for part in (slice(0, 10), slice(10, 20))
    ]
    assert losses(True) == pytest.approx(expected, abs=1e-6)
    assert losses(False)[1] != pytest.approx(expected[1], abs=1e-4)
    model.carry_state = False
    assert losses(True)[1] != pytest.approx(expected[1], abs=1e-4)


def test_gradients_end_at_the_beginning_of_a_batch(tmp_path):
    model = language_model("abcdef", "gru")
    model.trainer = trainer(tmp_path, log_every_n_steps=1000)
    model.training_step((torch.zeros(2, 5, dtype=torch.long),) * 2 + (False,), 0)
    assert model.train_state.requires_grad is False
    assert model.train_state.abs().sum() > 0


def test_an_evaluation_starts_without_the_state_of_the_one_before(tmp_path):
    model = language_model("abcdef").eval()
    text = torch.randint(6, (3, 21))

    def nats(continues):
        model.evaluate((text[:, :-1], text[:, 1:], continues))
        found = model.evaluation_means.compute()["nats_per_char"].item()
        model.evaluation_means.reset()
        return found

    first = nats(False)
    assert nats(True) != pytest.approx(first, abs=1e-4)  # a batch that continues another goes on from its state
    assert nats(False) == pytest.approx(first, abs=1e-7)
    model.carry_state = False
    assert nats(True) == pytest.approx(first, abs=1e-7)
    assert model.train_state is None  # the state of the training is another one


@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")
@pytest.mark.parametrize(("cell", "batches"), [("lstm", "streams"), ("rnn", "streams"), ("lstm", "chunks")])
def test_a_run_that_was_killed_in_mid_epoch_goes_on_bitwise(tmp_path, written, cell, batches):
    def run(ckpt_path=None):
        kept = ModelCheckpoint(tmp_path, "{step}", every_n_train_steps=39, save_top_k=-1)
        data = Text(written, batches=batches, batch_size=8, chunk_length=64)
        options = {"max_epochs": 3, "callbacks": [RandomState(), kept]}
        return fitted(tmp_path, data, ckpt_path, options, cell=cell, num_layers=2, dropout=0.2)

    straight, used = run()
    assert used.num_training_batches == 25
    assert used.global_step == 75
    middle = tmp_path / "step=39.ckpt"  # behind the 14th batch of the second epoch
    resumed, _ = run(middle)
    weights = straight.state_dict()
    assert all(torch.equal(weight, weights[name]) for name, weight in resumed.state_dict().items())

    checkpoint = torch.load(middle, weights_only=True)
    if batches == "streams":  # and it does so because of the state that it kept
        assert checkpoint["carried_state"][0].shape == (2, 8, 24)
        del checkpoint["carried_state"]
        torch.save(checkpoint, tmp_path / "forgot.ckpt")
        forgot, _ = run(tmp_path / "forgot.ckpt")
        assert any(not torch.equal(weight, weights[name]) for name, weight in forgot.state_dict().items())


def test_a_carried_state_of_other_streams_is_refused(tmp_path, written):
    model = language_model("abcdef")
    model.trainer = trainer(tmp_path, log_every_n_steps=1000)
    model.on_load_checkpoint({"carried_state": [torch.zeros(1, 3, 8), torch.zeros(1, 3, 8)]})
    model.on_train_start()
    with pytest.raises(
        ValueError, match="carries the state of 3 streams per process, but now there are 2: resume with"
    ):
        model.training_step((torch.zeros(2, 5, dtype=torch.long),) * 2 + (True,), 0)


@pytest.mark.parametrize(("rank", "own"), [(0, [0, 2, 4]), (1, [1, 3, 5])])
def test_each_process_takes_its_streams_of_a_restored_state(rank, own):
    model = language_model("abcdef", cell="lstm")
    model.trainer = SimpleNamespace(world_size=2, global_rank=rank)
    state = [torch.arange(6.0).view(1, 6, 1).expand(1, 6, 8), -torch.arange(6.0).view(1, 6, 1).expand(1, 6, 8)]
    model.on_load_checkpoint({"carried_state": state})
    model.on_train_start()
    h, c = model.train_state
    assert h[0, :, 0].tolist() == own
    assert c[0, :, 0].tolist() == [-number for number in own]
    assert model.restored_state is None


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_checkpoint_holds_the_streams_of_all_processes_in_their_order(cell):
    model = language_model("abcdef", cell=cell)
    own = torch.tensor([0.0, 2.0]).view(1, 2, 1).expand(1, 2, 8)  # of process 0
    gather = SimpleNamespace(all_gather=lambda part: torch.stack([part, part + 1]))
    model.trainer = SimpleNamespace(world_size=2, global_rank=0, strategy=gather)
    model.train_state = own if cell == "gru" else (own, own)
    checkpoint = {"state_dict": {}}
    model.on_save_checkpoint(checkpoint)
    assert [part[0, :, 0].tolist() for part in checkpoint["carried_state"]] == [[0, 1, 2, 3]] * (1 + (cell == "lstm"))
