"""Small language models, and a text of words that only a model with a memory can continue."""

import functools

import torch
from pytorch_lightning import Trainer

from lightning_models.language_model import CharLanguageModel
from lightning_models.networks.char_rnn import CharRNN

WORDS = ("stone", "notes", "onset", "tones", "seton")  # one set of letters: only what came before tells the next one


def write_words(path):
    """Write WORDS in random order; the path."""
    order = torch.randint(len(WORDS), (2400,), generator=torch.Generator().manual_seed(0))
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
