"""What classifiers and language models log of an epoch weighs every image, sequence and character alike."""

import functools
from types import SimpleNamespace

import pytest
import torch

from lightning_models.image_classifier import ImageClassifier
from lightning_models.networks import RecurrentNetwork
from lightning_models.sequence_classifier import SequenceClassifier
from tests.small_language_models import language_model


def images(count):
    return torch.rand(count, 1, 4, 4), torch.arange(count) % 2


def sequences(count):
    return torch.randint(3, (count, 5)), torch.full((count,), 5), torch.arange(count) % 2


def text(count):
    return torch.randint(3, (count, 5)), torch.randint(3, (count, 5)), False


MODELS = {
    "images": (lambda: ImageClassifier((1, 4, 4), ["a", "b"]), images, 1),
    "sequences": (
        lambda: SequenceClassifier(["a", "b"], list("xyz"), functools.partial(RecurrentNetwork, hidden_size=4)),
        sequences,
        1,
    ),
    "text": (lambda: language_model(list("xyz"), hidden_dim=4), text, 5),  # five characters a stream
}


@pytest.mark.parametrize("kind", MODELS)
def test_a_smaller_last_batch_weighs_less_in_the_means_of_the_training(kind):
    make, batch, items = MODELS[kind]
    torch.manual_seed(0)
    model = make()
    model.trainer = SimpleNamespace(global_step=0, log_every_n_steps=1000)
    losses = [model.training_step(batch(count), number).item() for number, count in enumerate((6, 2))]
    found = model.training_means.compute()[model.training_means.names[0]].item()
    assert found == pytest.approx((6 * losses[0] + 2 * losses[1]) / 8, rel=1e-5)
    assert losses[0] != pytest.approx(losses[1], abs=1e-3)
    assert model.training_means.weight.item() == 8 * items
