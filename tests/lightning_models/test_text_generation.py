import functools

import pytest
import torch
import torch.nn.functional as F

from datamodules.text import Text
from lightning_models.language_model import CharLanguageModel
from lightning_models.networks.char_rnn import CharRNN
from tests.small_language_models import WORDS, fitted, language_model, write_words


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A file of words in random order."""
    return write_words(tmp_path_factory.mktemp("text") / "words.txt")


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


def test_a_text_is_generated_without_dropout_whatever_the_mode():
    model = CharLanguageModel(list("ab\n"), network=functools.partial(CharRNN, hidden_dim=8, dropout=0.9)).train()
    modes = []
    model.network.register_forward_pre_hook(lambda network, args: modes.append(network.training))
    model.generate(3)
    assert modes == [False] * 4
    assert model.network.training
