"""Which network compares the images, without opening one."""

from types import SimpleNamespace

import pytest
import torch

from lightning_models.feature_extractors import choice
from lightning_models.feature_extractors.choice import choose_extractor, classifier_name

GRAY, COLOUR, LARGE = (1, 8, 8), (3, 8, 8), (3, 16, 17)


class Letters:
    """A data module that says nothing about classifiers."""


class Stacked(Letters):
    feature_classifier = "letters"
    classified_by_channel = True


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """Stand-ins that say what would have been opened; what they find is set by the test."""
    found = SimpleNamespace(classifiers=set(), fidelity=True, weights=tmp_path)
    for name in ("RandomFeatures", "InceptionFeatures", "ClassifierFeatures", "ContrastiveFeatures"):
        monkeypatch.setattr(choice, name, lambda *args, name=name: (name, *args))
    monkeypatch.setattr(choice, "find_classifier", lambda name: name if name in found.classifiers else None)
    monkeypatch.setattr(choice, "find_spec", lambda name: name if found.fidelity else None)
    monkeypatch.setattr(choice, "inception_weights", lambda: SimpleNamespace(is_file=lambda: found.weights is not None))
    return found


def test_data_may_name_the_classifier_of_its_images():
    assert classifier_name(Letters()) == "letters"
    assert classifier_name(SimpleNamespace(feature_classifier="mnist")) == "mnist"


@pytest.mark.parametrize("option", ["auto", "classifier", "judge"])  # the last one of version 0.1
def test_the_published_classifier(installed, option):
    installed.classifiers = {"letters"}
    assert choose_extractor(option, Letters(), GRAY, False) == (("ClassifierFeatures", "letters", GRAY, False), [])
    assert choose_extractor(option, Stacked(), COLOUR, True) == (("ClassifierFeatures", "letters", COLOUR, True), [])


def test_other_networks(installed):
    assert choose_extractor("none", Letters(), GRAY, False) == (None, [])
    assert choose_extractor("random", Letters(), GRAY, False) == (("RandomFeatures", GRAY), [])
    assert choose_extractor("contrastive", Letters(), LARGE, True) == (("ContrastiveFeatures", LARGE), [])
    assert choose_extractor("inception", Letters(), COLOUR, False) == (("InceptionFeatures",), [])
    (kind, path, *_), _ = choose_extractor("runs/a/best.ckpt", Letters(), GRAY, False)
    assert (kind, str(path)) == ("ClassifierFeatures", "runs/a/best.ckpt")
    with pytest.raises(ValueError, match="there is no classifier of letters images"):
        choose_extractor("classifier", Letters(), GRAY, False)


@pytest.mark.parametrize(
    ("shape", "fidelity", "weights", "kind"),
    [
        (COLOUR, True, True, "InceptionFeatures"),
        (GRAY, True, True, "ContrastiveFeatures"),
        (LARGE, False, True, "ContrastiveFeatures"),
        (LARGE, True, False, "ContrastiveFeatures"),
    ],
)
def test_without_a_classifier(installed, shape, fidelity, weights, kind):
    installed.fidelity = fidelity
    installed.weights = installed.weights if weights else None
    network, notes = choose_extractor("auto", Letters(), shape, during_fit=False)
    assert network[0] == kind
    assert len(notes) == (kind == "ContrastiveFeatures")


def test_without_a_classifier_in_a_fit(installed, monkeypatch):
    """What takes minutes is not begun unasked."""
    images = torch.zeros(2, *LARGE, dtype=torch.uint8)
    for shape in (GRAY, COLOUR):
        network, _ = choose_extractor("auto", Letters(), shape, during_fit=True)
        assert network == ("ContrastiveFeatures", shape)
    monkeypatch.setattr(choice, "is_trained", lambda found: found is not images)
    for found in (None, images):
        network, (note,) = choose_extractor("auto", Letters(), LARGE, True, found)
        assert network is None
        assert note.startswith("quality      not measured during training: there is no classifier of letters images")
        assert "--quality.network contrastive" in note
    network, _ = choose_extractor("auto", Letters(), LARGE, True, torch.ones_like(images))
    assert network == ("ContrastiveFeatures", LARGE)
