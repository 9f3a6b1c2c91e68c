"""Options that became options of an injected network; the checkpoints themselves are opened in test_moved.py."""

import copy
import importlib
import inspect
from pathlib import Path

import pytest
import torch
import yaml

from lab.compat.moved_options import MOVED_OPTIONS, current_checkpoint, current_model, current_option
from lightning_models.language_model import CharLanguageModel
from lightning_models.sequence_classifier import SequenceClassifier

OLD = Path(__file__).parents[2] / "data" / "before_0.2"


def model(class_name, **options):
    return {"class_path": class_name, "init_args": options}


def network(class_name, **options):
    return {"class_path": f"lightning_models.networks.{class_name}", "init_args": options}


WRAPPED_TWICE = model("SequenceClassifier", members=2, character_dropout=0.1)


@pytest.mark.parametrize("family", MOVED_OPTIONS)
def test_the_table_leads_to_options_that_there_are(family):
    for class_path, option in MOVED_OPTIONS[family].values():
        module, _, name = class_path.rpartition(".")
        assert option in inspect.signature(getattr(importlib.import_module(module), name)).parameters
    owner = {"SequenceClassifier": SequenceClassifier, "CharLanguageModel": CharLanguageModel}[family]
    assert not MOVED_OPTIONS[family].keys() & inspect.signature(owner).parameters.keys()


def test_wrappers_stand_around_the_network_where_their_options_ask_for_them():
    before = model(
        "lightning_models.sequence_classifier.SequenceClassifier",
        cell="gru", hidden_size=4, members=2, character_dropout=0.1, naive_bayes_buckets=64, naive_bayes_edges=True,
        label_smoothing=0.1,
    )  # fmt: skip
    kept = copy.deepcopy(before)
    inner = network("RecurrentNetwork", cell="gru", hidden_size=4)
    inner = network("CharacterDropout", probability=0.1, network=network("Ensemble", members=2, network=inner))
    expected = network("NaiveBayesMixture", buckets=64, edges=True, network=inner)
    assert current_model(before)["init_args"] == {"label_smoothing": 0.1, "network": expected}
    assert before == kept


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"members": 1, "character_dropout": 0.0, "naive_bayes_buckets": 0, "naive_bayes_edges": False}, []),
        ({"members": 2}, ["Ensemble"]),
        ({"members": torch.ones(2)}, []),  # of a damaged checkpoint; the parser refuses it
        ({"character_dropout": 0.01}, ["CharacterDropout"]),
        ({"naive_bayes_buckets": 1}, ["NaiveBayesMixture"]),
        ({"naive_bayes_buckets": 9, "members": 3}, ["NaiveBayesMixture", "Ensemble"]),
    ],
)
def test_options_at_their_old_defaults_ask_for_nothing(options, names):
    found = current_model(model("SequenceClassifier", **options))["init_args"]["network"]
    chain = []
    while found["class_path"] != "lightning_models.networks.RecurrentNetwork":
        chain.append(found["class_path"].rpartition(".")[2])
        found = found["init_args"]["network"]
    assert chain == names
    assert found["init_args"] == {}


@pytest.mark.parametrize(
    "section",
    [
        model("SequenceClassifier", label_smoothing=0.1),
        model("SequenceClassifier", network=network("RecurrentNetwork")),
        model("ImageClassifier", dropout=0.1),
        {"class_path": "SequenceClassifier"},
        {"class_path": "SequenceClassifier", "init_args": None},
        {},
    ],
)
def test_a_section_without_such_options_is_returned_as_it_is(section):
    assert current_model(section) is section


@pytest.mark.parametrize(
    ("option", "section", "expected"),
    [
        ("model.cell", None, "model.network.cell"),
        ("model.hidden_dim", None, "model.network.hidden_dim"),
        ("model.members", None, "model.network.members"),
        ("model.naive_bayes_buckets", None, "model.network.buckets"),
        ("model.character_dropout", None, "model.network.probability"),
        ("model.latent_dim", None, "model.latent_dim"),
        ("model.optimizer.lr", None, "model.optimizer.lr"),
        ("model.network.cell", None, "model.network.cell"),
        ("data.cell", None, "data.cell"),
        ("cell", None, "cell"),
        ("model.cell", model("SequenceClassifier"), "model.network.cell"),
        ("model.cell", model("SequenceClassifier", members=2), "model.network.network.cell"),
        ("model.members", model("SequenceClassifier"), "model.members"),
        ("model.cell", WRAPPED_TWICE, "model.network.network.network.cell"),
        ("model.members", WRAPPED_TWICE, "model.network.network.members"),
        ("model.cell", model("SequenceClassifier", network="Ensemble"), "model.network.cell"),
        (
            "model.cell",
            model("SequenceClassifier", network=network("Ensemble", network=network("RecurrentNetwork"))),
            "model.network.network.cell",
        ),
        ("model.dropout", model("CharLanguageModel", dropout=0.1), "model.network.dropout"),
        ("model.dropout", model("ImageClassifier"), "model.dropout"),
    ],
)  # fmt: skip
def test_an_option_is_found_where_its_network_stands(option, section, expected):
    assert current_option(option, section) == expected


@pytest.mark.parametrize("family", ["sequence_classifier", "language_model"])
def test_config_and_checkpoint_of_an_old_run_lead_to_the_same_network(family):
    config = yaml.safe_load((OLD / family / "config.yaml").read_text())["model"]
    kept = torch.load(OLD / family / "checkpoints" / "last.ckpt", weights_only=True)
    moved = current_checkpoint(kept)
    assert moved["hyper_parameters"]["network"] == current_model(config)["init_args"]["network"]
    assert current_checkpoint(moved) is moved
    assert [v.shape for v in moved["state_dict"].values()] == [v.shape for v in kept["state_dict"].values()]


def test_load_from_checkpoint_opens_an_old_one_and_takes_other_options():
    path = OLD / "sequence_classifier" / "checkpoints" / "last.ckpt"
    kept = torch.load(path, weights_only=True)["state_dict"]
    loaded = SequenceClassifier.load_from_checkpoint(path, weights_only=True, logit_adjustment=0.25)
    assert loaded.logit_adjustment == 0.25
    assert list(map(id, loaded.parameters())) == [id(p) for p in loaded.network.parameters()]
    of_parameters = [kept[name] for name in kept if name.startswith(("networks.", "naive_bayes.weights"))]
    for own, old in zip(loaded.parameters(), of_parameters, strict=True):
        assert torch.equal(own, old)  # in the order in which an optimizer's state lists them


def test_a_single_network_of_an_old_checkpoint_loses_its_number():
    weights = {"networks.0.output.bias": torch.zeros(2), "log_shares": torch.zeros(2)}
    kept = {"model_class": "x.SequenceClassifier", "hyper_parameters": {"cell": "gru"}, "state_dict": weights}
    assert list(current_checkpoint(kept)["state_dict"]) == ["network.output.bias", "log_shares"]
    kept["hyper_parameters"]["character_dropout"] = 0.1
    assert next(iter(current_checkpoint(kept)["state_dict"])) == "network.network.output.bias"


@pytest.mark.parametrize("options", [None, [], ["members"], "members", 3])
def test_options_that_are_no_options_are_left_to_the_parser(options):
    given = {"class_path": "SequenceClassifier", "init_args": options}
    assert current_model(given) is given
