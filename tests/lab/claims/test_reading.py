"""The `claims:` of a study's file: what is read, and one message for each mistake."""

from pathlib import Path
from typing import Any

import pytest

from lab.claims.claim import Measure
from lab.claims.reading import read_claims
from lab.errors import UserError

GRID = [{"model.latent_dim": dim, "model.loss": loss} for dim in (4, 16, 64) for loss in ("gan", "lsgan")]
RECORD = ["val/fid", "val/recall", "train/g_loss"]
SETTING = {"model.latent_dim": 4, "model.loss": "gan"}
OTHER = {"model.latent_dim": 64, "model.loss": "gan"}
BETTER = {"better": SETTING, "than": OTHER}


def read(*entries: dict[str, Any], settings: Any = GRID, labels: Any = (), absent: bool = False) -> Any:
    named = [{"id": f"claim-{place}", "statement": "It is so.", **entry} for place, entry in enumerate(entries)]
    return read_claims(Path("study.yaml"), named, settings, labels, RECORD, "minimize", absent)


def test_a_comparison_takes_the_first_metric_and_its_direction() -> None:
    (claim,) = read(BETTER)
    assert (claim.kind, claim.settings, claim.metric, claim.higher_is_better) == ("better", (0, 4), "val/fid", False)
    assert claim.quantity == "val/fid"


def test_what_a_claim_may_say_beside_its_kind() -> None:
    (claim,) = read(
        {
            **BETTER,
            "metric": "val/recall",
            "section": 2.1,
            "because": "looks",
            "length": "100 epochs",
            "measure": "mean",
        }
    )
    assert (claim.section, claim.because, claim.length) == ("2.1", "looks", (100, "epochs"))
    assert (claim.quantity, claim.higher_is_better) == ("val/recall, mean", True)


@pytest.mark.parametrize(
    ("entry", "settings"),
    [
        ({"better": SETTING, "than": "others"}, (0, 1, 2, 3, 4, 5)),
        ({"better": OTHER, "than": [SETTING, {"model.latent_dim": 16, "model.loss": "gan"}]}, (4, 0, 2)),
        ({"order": [OTHER, SETTING]}, (4, 0)),
        ({"trend": "model.latent_dim", "where": {"model.loss": "lsgan"}}, (1, 3, 5)),
        ({"trend": [OTHER, {"model.latent_dim": "16", "model.loss": "gan"}, SETTING]}, (4, 2, 0)),
        ({"similar": "all", "within": 1, "where": {"model.latent_dim": 16}}, (2, 3)),
        ({"at_least": 1, "setting": SETTING}, (0,)),
        ({"event": "mode_collapse", "setting": SETTING}, (0,)),
    ],
)
def test_settings_are_found_in_the_order_that_the_kind_needs(entry: dict[str, Any], settings: tuple[int, ...]) -> None:
    assert read(entry)[0].settings == settings


def test_settings_of_a_list_have_labels() -> None:
    (claim,) = read(
        {"better": "wide", "than": "narrow"}, settings=[{"width": 8}, {"width": 16}], labels=["narrow", "wide"]
    )
    assert claim.settings == (1, 0)


@pytest.mark.parametrize(
    ("given", "measure"),
    [
        ("last", Measure()),
        ("fluctuation", Measure("fluctuation")),
        ({"change": [0, 0.5]}, Measure("change", (0.0, 0.5))),
        ({"batches_to": 0.97}, Measure("batches_to", (0.97,), rising=False)),
        ({"at": 0.5}, Measure("at", (0.5,))),
    ],
)
def test_what_is_taken_of_a_metric(given: Any, measure: Measure) -> None:
    assert read({**BETTER, "measure": given})[0].measure == measure


def test_less_is_better_of_costs_fluctuations_and_batches() -> None:
    claims = read(
        {**BETTER, "metric": "seconds"},
        {**BETTER, "metric": "val/recall", "measure": "fluctuation"},
        {**BETTER, "metric": "val/recall", "measure": {"batches_to": 0.5}},
        {**BETTER, "metric": "train/g_loss", "direction": "maximize"},
    )
    assert [claim.higher_is_better for claim in claims] == [False, False, False, True]
    assert claims[2].measure.rising


def test_a_margin_is_a_number_or_a_share() -> None:
    first, second = read({"similar": "all", "within": 0.5}, {"similar": "all", "within": "10%"})
    assert (first.margin, first.relative, second.margin, second.relative) == (0.5, False, 0.1, True)


def test_a_quick_size_may_lack_settings_of_a_claim() -> None:
    missing = {"model.latent_dim": 5, "model.loss": "gan"}
    assert [claim.id for claim in read({**BETTER, "than": missing}, BETTER, absent=True)] == ["claim-1"]


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({**BETTER, "metric": "val/accuracy"}, "the study does not record val/accuracy: it records val/fid, val/recall,"),
    ({**BETTER, "than": {"model.width": 3}}, "the study does not vary model.width: "),
    ({**BETTER, "than": {"model.latent_dims": 3}}, "did you mean model.latent_dim?"),
    (
        {**BETTER, "than": {"model.latent_dim": 5}},
        "no setting of the study has {'model.latent_dim': 5}: it tries model",
    ),
    ({**BETTER, "than": {"model.latent_dim": 4}}, "stands for 2 settings of the study: add model.loss"),
    ({**BETTER, "than": "wide"}, "there is no setting 'wide': the study has no labels; or give options"),
    ({**BETTER, "than": 3}, "3 is no setting: give options, such as {model.latent_dim: 4}"),
    ({**BETTER, "than": SETTING}, "is compared with itself"),
    ({"better": SETTING}, "`better` needs `than`"),
    ({}, "it has none of better, order,"),
    ({**BETTER, "event": "alarm"}, "it has better and event: give exactly one"),
    ({**BETTER, "metric": "train/g_loss"}, "whether less or more train/g_loss is better: give `direction`"),
    ({**BETTER, "direction": "up"}, "direction is 'up': choose minimize or maximize"),
    ({**BETTER, "within": 3}, "a claim with `better` has no key within; "),
    ({**BETTER, "metrics": "val/fid"}, "did you mean metric?"),
    ({**BETTER, "id": 3}, "id is 3: give a text"),
    ({**BETTER, "statement": ""}, "statement is '': give a text"),
    ({**BETTER, "length": "100"}, "length is '100': give that of the report's runs, such as 100 epochs"),
    ({**BETTER, "measure": "median"}, "measure is 'median': use last, mean,"),
    ({**BETTER, "measure": {"change": [1]}}, "measure is {'change': [1]}: use last, mean,"),
    ({**BETTER, "measure": {"change": [0.5, 0.5]}}, "a change is between two shares of the run"),
    ({**BETTER, "measure": {"at": 2}}, "give a share of the run"),
    ({"metric": "train/g_loss", "measure": {"change": [0, 1]}, **BETTER}, "give `direction`"),
    ({"at_least": "x", "setting": SETTING}, "at_least is 'x': give a number"),
    (
        {"at_least": 1, "setting": SETTING, "metric": "train/g_loss", "measure": {"batches_to": 1}},
        "from which side train/g_loss reaches its level",
    ),
    ({"similar": "all", "within": "-3%"}, "within is '-3%': give a number above 0"),
    ({"similar": [SETTING], "within": 1}, "`similar` has 1 settings: it needs 2 or more"),
    ({"order": SETTING}, "give a list of settings, such as [{model.latent_dim: 4}]"),
    ({"order": [SETTING, SETTING]}, "`order` names a setting twice"),
    (
        {"trend": "model.latent_dim"},
        "several settings have the same model.latent_dim: say with `where` what model.loss",
    ),
    ({"trend": "model.loss", "where": {"model.latent_dim": 4}}, "the values of model.loss are no numbers"),
    ({"trend": "model.width"}, "the study does not vary model.width: it varies model.latent_dim, model.loss"),
    ({"trend": [SETTING, OTHER]}, "`trend` has 2 settings: it needs 3 or more"),
    ({"event": "", "setting": SETTING}, "event is '': give the name of an alarm"),
    ({"event": "x", "setting": SETTING, "never": 1}, "never is 1: give true or false"),
]


@pytest.mark.parametrize(("entry", "message"), MISTAKES)
def test_each_mistake_has_one_message_with_the_file_and_the_claim(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as raised:
        read(entry)
    assert str(raised.value).startswith("study.yaml: claim ")
    assert message in str(raised.value)


def test_two_claims_of_one_id() -> None:
    with pytest.raises(UserError, match="claim same: there are two claims of this id"):
        read({**BETTER, "id": "same"}, {**BETTER, "id": "same"})


@pytest.mark.parametrize("given", ["text", ["text"], {"id": "a"}])
def test_claims_are_a_list(given: Any) -> None:
    with pytest.raises(UserError, match="expected a list of claims"):
        read_claims(Path("study.yaml"), given, GRID, [], RECORD, "minimize")


def test_a_search_has_no_settings() -> None:
    with pytest.raises(UserError, match="a search has no settings to claim something of"):
        read(BETTER, settings=[])


def test_true_is_not_one() -> None:
    settings = [{"model.deep": True}, {"model.deep": False}]
    assert read({"better": {"model.deep": True}, "than": {"model.deep": False}}, settings=settings)[0].settings == (
        0,
        1,
    )
    with pytest.raises(UserError, match="no setting of the study has"):
        read({"better": {"model.deep": 1}, "than": {"model.deep": False}}, settings=settings)
