import functools
import math
from collections import Counter
from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.plugins.precision import MixedPrecision

from datamodules.text import Text
from lightning_models.callbacks.random_state import RandomState
from lightning_models.language_model import CharLanguageModel
from lightning_models.modules.injection import default
from lightning_models.networks.char_rnn import CharRNN

WORDS = ("stone", "notes", "onset", "tones", "seton")  # one set of letters: only what came before tells the next one


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A file of words in random order."""
    order = torch.randint(len(WORDS), (2400,), generator=torch.Generator().manual_seed(0))
    path = tmp_path_factory.mktemp("text") / "words.txt"
    path.write_text(" ".join(WORDS[number] for number in order))
    return str(path)


def trainer(folder, max_epochs=1, **options):
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "num_sanity_val_steps": 0, "logger": False}
    checkpointing = {"enable_checkpointing": bool(options.get("callbacks"))}
    return Trainer(
        default_root_dir=folder, accelerator="cpu", max_epochs=max_epochs, **{**quiet, **checkpointing, **options}
    )


def language_model(vocabulary, cell="lstm", hidden_dim=8, carry_state=True, **options):
    """A model with a small CharRNN; `options` are the model's where it has them, else the network's."""
    own = {name: options.pop(name) for name in ("optimizer", "schedule", "gradient_clip_norm") if name in options}
    network = functools.partial(CharRNN, cell=cell, hidden_dim=hidden_dim, **options)
    return CharLanguageModel(list(vocabulary), network, carry_state=carry_state, **own)


def fitted(folder, data, ckpt_path=None, trainer_options=None, **options):
    """A small model after training on `data`; and its trainer."""
    torch.manual_seed(0)
    model = language_model(data.vocabulary, **{"hidden_dim": 24, **options})
    used = trainer(folder, **(trainer_options or {}))
    used.fit(model, data, ckpt_path=ckpt_path)
    return model, used


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


def test_the_best_checkpoint_has_the_lowest_loss():
    assert CharLanguageModel.monitor == "val/nats_per_char"


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


def test_only_scored_characters_count():
    model = language_model("abcdef").eval()
    text = torch.randint(6, (2, 11))
    targets = text[:, 1:].clone()
    targets[:, :6] = -100
    model.evaluate((text[:, :-1], targets, False))
    logits, _ = model.network(text[:, :-1])
    expected = F.cross_entropy(logits[:, 6:].flatten(0, 1), text[:, 7:].flatten()).item()
    assert model.evaluation_means.compute()["nats_per_char"].item() == pytest.approx(expected, rel=1e-5)
    assert model.evaluation_means.weight.item() == 8


@pytest.mark.parametrize("prefix", ["train", "val", "test"])
def test_the_loss_is_logged_in_nats_bits_and_as_perplexity_and_then_reset(prefix):
    model = language_model("abcdef")
    means = model.training_means if prefix == "train" else model.evaluation_means
    means.update((torch.tensor(math.log(8)),), 5)
    logged = {}
    model.log_dict = lambda metrics, **options: logged.update(metrics)
    {"train": model.on_train_epoch_end, "val": model.on_validation_epoch_end, "test": model.on_test_epoch_end}[prefix]()
    expected = {"nats_per_char": math.log(8), "bits_per_char": 3.0, "perplexity": 8.0}
    assert {name: value.item() for name, value in logged.items()} == pytest.approx(
        {f"{prefix}/{name}": value for name, value in expected.items()}
    )
    assert means.weight.item() == 0


def test_all_of_the_held_out_text_is_measured(tmp_path, written):
    """Side by side in 32 rows, and nearly as exactly as from end to end."""
    data = Text(written, batch_size=8, chunk_length=16)
    data.setup("validate")
    torch.manual_seed(1)
    model = language_model(data.vocabulary, "gru", hidden_dim=16)
    (measured,) = trainer(tmp_path).validate(model, data, verbose=False)
    text = torch.cat([data.val_context, data.val_tokens]).long()[None]
    with torch.no_grad():
        logits, _ = model.network(text[:, :-1])
    nats = F.cross_entropy(logits[0, -len(data.val_tokens) :], text[0, -len(data.val_tokens) :]).item()
    assert measured["val/nats_per_char"] == pytest.approx(nats, abs=1e-4)
    assert measured["val/bits_per_char"] == pytest.approx(nats / math.log(2), abs=1e-4)
    assert measured["val/perplexity"] == pytest.approx(math.exp(nats), abs=1e-3)
    with pytest.warns(UserWarning, match="no text is kept for testing"):
        (tested,) = trainer(tmp_path).test(model, data, verbose=False)
    assert {name.replace("test/", "val/"): value for name, value in tested.items()} == measured


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


def test_gradients_are_clipped_by_their_norm_together():
    model = language_model("abcdef", gradient_clip_norm=0.5)
    model.trainer = Trainer(logger=False, enable_checkpointing=False, log_every_n_steps=1000, accelerator="cpu")
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    model.configure_gradient_clipping(torch.optim.SGD(model.parameters(), 0.1))
    assert sum(p.grad.square().sum() for p in model.parameters()).sqrt().item() == pytest.approx(0.5, rel=1e-4)
    with pytest.raises(ValueError, match=r"trainer\.gradient_clip_val is 1\.0: leave it out and set --model\.gradient"):
        model.configure_gradient_clipping(torch.optim.SGD(model.parameters(), 0.1), 1.0, "norm")


@pytest.mark.parametrize("fused", [True, False])
def test_float16_scales_the_loss_but_neither_norm_nor_clipping(tmp_path, written, fused):
    sgd = functools.partial(torch.optim.SGD, lr=1.0, fused=fused)
    sizes = {"hidden_dim": 8, "implementation": "scratch", "optimizer": sgd, "gradient_clip_norm": 1e-2}
    constant = default("lightning_models.modules.schedules.Constant")

    def run(**options):
        data = Text(written, batch_size=4, chunk_length=16)
        options = {"max_steps": 1, "log_every_n_steps": 1, "limit_val_batches": 0, **options}
        model, used = fitted(tmp_path, data, trainer_options=options, schedule=constant, **sizes)
        torch.manual_seed(0)
        start = language_model(data.vocabulary, schedule=constant, **sizes)
        moved = [new - old for new, old in zip(model.parameters(), start.parameters(), strict=True)]
        return torch.nn.utils.get_total_norm(moved).item(), used.callback_metrics["train/gradient_norm"].item()

    distance, norm = run()
    scaled_distance, scaled_norm = run(plugins=[MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu"))])
    assert norm > 0.05
    assert scaled_norm == pytest.approx(norm, rel=0.05)
    assert distance == pytest.approx(1e-2, rel=1e-2)
    assert scaled_distance == pytest.approx(1e-2, rel=1e-2)


# -------------------------------------------------------------------------------------------------------- generation


@pytest.fixture(scope="module")
def writer(tmp_path_factory, written):
    """A model that has learned the words."""
    data = Text(written, batch_size=16, chunk_length=16)
    return fitted(tmp_path_factory.mktemp("writer"), data, trainer_options={"max_epochs": 8}, hidden_dim=48)[0]


def test_it_writes_the_words_that_it_has_read(writer):
    text = writer.generate(400, prompt="stone ", temperature=0.5)
    assert len(text) == 406
    assert text.startswith("stone ")
    known = [word in WORDS for word in text.split()[:-1]]
    assert sum(known) / len(known) > 0.9


def test_text_repeats_with_the_seed_and_leaves_the_model_as_it_was(writer):
    writer.train()
    before = torch.random.get_rng_state()
    assert writer.generate(50, seed=3) == writer.generate(50, seed=3) != writer.generate(50, seed=4)
    assert writer.generate(50, top_k=1, seed=3) == writer.generate(50, top_k=1, seed=4)
    assert writer.training
    assert writer.network.training
    assert torch.equal(before, torch.random.get_rng_state())


def test_each_option_of_sampling_reaches_the_distribution(monkeypatch):
    seen = []

    def most_probable(logits, *options):
        seen.append(options)
        return F.one_hot(logits.argmax(), 6).float()

    monkeypatch.setattr("lightning_models.language_model.sampling_distribution", most_probable)
    model = language_model("abcdef").train()
    text = model.generate(3, prompt="ca", temperature=0.7, top_k=4, top_p=0.9)
    assert seen == [(0.7, 4, 0.9)] * 3
    with torch.no_grad():
        logits, _ = model.network.eval()(model.indices(text[:-1])[None])
    assert text == "ca" + "".join(model.vocabulary[index] for index in logits[0, 1:].argmax(dim=1))


def test_a_prompt_with_unknown_characters_is_refused_with_their_names(writer):
    with pytest.raises(ValueError, match=r"the prompt holds 'Zé', which the model has never seen; it knows ' enost'"):
        writer.generate(10, prompt="Zst Zéé")
    with pytest.raises(ValueError, match=r"the temperature is 0: expected a number above 0"):
        writer.generate(10, temperature=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"network": default("torch.nn.Linear", out_features=3)}, r"torch\.nn\.Linear is not a kind of CharNetwork"),
        ({"gradient_clip_norm": 0.0}, r"model\.gradient_clip_norm is 0\.0: expected a positive number"),
    ],
)
def test_options_out_of_their_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        CharLanguageModel(list("abc"), **options)


def test_a_text_is_generated_without_dropout_whatever_the_mode():
    model = CharLanguageModel(list("ab\n"), network=functools.partial(CharRNN, hidden_dim=8, dropout=0.9)).train()
    modes = []
    model.network.register_forward_pre_hook(lambda network, args: modes.append(network.training))
    model.generate(3)
    assert modes == [False] * 4
    assert model.network.training
