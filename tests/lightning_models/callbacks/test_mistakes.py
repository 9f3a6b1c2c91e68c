from types import SimpleNamespace

import pytest
import torch
from pytorch_lightning.trainer.states import TrainerFn

from lightning_models.callbacks import mistakes as module
from lightning_models.callbacks.mistakes import WorstMistakes, percent
from lightning_models.image_classifier import ImageClassifier


@pytest.fixture
def classifier():
    return ImageClassifier((1, 2, 2), class_names=["cat", "dog", "owl"], value_range=(-1.0, 1.0))


def batch(*classes):
    """An image for each (true class, its probability, predicted class); the probability is also its brightness."""
    logits = torch.full((len(classes), 3), 1e-9)
    for row, (true, probability, predicted) in enumerate(classes):
        logits[row, predicted] = 1 - probability
        logits[row, true] = probability
    images = torch.tensor([2 * probability - 1 for _, probability, _ in classes])[:, None, None, None]
    return logits.log(), (images.expand(-1, 1, 2, 2), torch.tensor([true for true, *_ in classes]))


def look(worst, classifier, *batches):
    worst.on_validation_epoch_start(None, classifier)
    for logits, labelled in batches:
        worst.on_validation_batch_end(None, classifier, logits, labelled, 0)


BATCHES = [
    batch((0, 0.3, 1), (1, 0.9, 1), (2, 0.1, 0)),
    batch((0, 0.8, 0)),  # nothing wrong
    batch((1, 0.2, 2), (0, 0.05, 2), (2, 0.4, 1), (1, 0.45, 0)),
]


def test_the_least_probable_truths_of_all_batches_stay(classifier):
    worst = WorstMistakes(side=2)
    look(worst, classifier, *BATCHES)
    assert worst.loss.neg().exp().tolist() == pytest.approx([0.05, 0.1, 0.2, 0.3])
    assert worst.labels.tolist() == [[0, 2], [2, 0], [1, 2], [0, 1]]  # true, predicted
    assert worst.images[:, 0, 0, 0].tolist() == pytest.approx([-0.9, -0.8, -0.6, -0.4])
    look(worst, classifier, BATCHES[0])  # another evaluation starts afresh
    assert len(worst.loss) == 2
    worst.on_test_epoch_start(None, classifier)
    worst.on_test_batch_end(None, classifier, *BATCHES[2], 0)
    assert len(worst.loss) == 4


def test_the_figure_names_truth_prediction_and_probability(classifier, monkeypatch):
    figures, written = [], []
    monkeypatch.setattr(module, "to_image", lambda figure: figures.append(figure) or figure)
    monkeypatch.setattr(module, "save_picture", lambda trainer, name, picture: written.append((name, picture)))
    worst = WorstMistakes(side=2)
    look(worst, classifier, *BATCHES)
    trainer = SimpleNamespace(is_global_zero=True, state=SimpleNamespace(fn=TrainerFn.FITTING))
    worst.on_validation_end(trainer, classifier)  # a fit goes on
    assert written == []
    worst.on_train_end(trainer, classifier)
    assert written == [("worst_mistakes", figures[0])]
    arrow = "\N{RIGHTWARDS ARROW}"
    assert [text.get_text() for text in figures[0].texts[1:]] == [
        f"cat {arrow} owl  5.0%",
        f"owl {arrow} cat  10.0%",
        f"dog {arrow} owl  20.0%",
        f"cat {arrow} dog  30.0%",
    ]
    shown = [float(image.get_array()[0, 0, 0]) / 255 for image in figures[0].images]
    assert shown == pytest.approx([0.05, 0.1, 0.2, 0.3], abs=0.01)  # in [0, 1], not in the data's value range
    for image, text in zip(figures[0].images, figures[0].texts[1:], strict=True):
        width, height = figures[0].get_size_inches() * figures[0].dpi
        x, y = text.get_position()
        assert 0 <= x * width - (image.ox + 136 / 2) < 1  # in the middle, right above
        assert 0 < y * height - (image.oy + 136) < 24


@pytest.mark.parametrize(("fn", "count"), [(TrainerFn.VALIDATING, 1), (TrainerFn.FITTING, 0)])
def test_a_validation_of_its_own_draws_its_mistakes(classifier, monkeypatch, fn, count):
    written = []
    monkeypatch.setattr(module, "save_picture", lambda *args: written.append(args))
    monkeypatch.setattr(WorstMistakes, "figure", lambda *args: None)
    worst = WorstMistakes()
    look(worst, classifier, BATCHES[0])
    worst.on_validation_end(SimpleNamespace(is_global_zero=True, state=SimpleNamespace(fn=fn)), classifier)
    assert len(written) == count


def test_small_probabilities():
    assert [percent(share) for share in (0.0009, 0.001, 0.5)] == ["<0.1%", "0.1%", "50.0%"]
