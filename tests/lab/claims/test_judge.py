"""Verdicts from the outcomes of trials, and what is said beside them."""

from typing import Any

import pytest

from lab.claims.claim import Claim, Measure
from lab.claims.judge import judge
from lab.claims.outcomes import Outcome, measured, read_outcomes, write_outcomes
from lab.claims.show import as_values, lines, sentence
from lab.errors import UserError

BETTER = Claim("first-better", "The first is better.", "better", (0, 1), metric="val/accuracy", higher_is_better=True)


def outcomes(*settings: list[float], look: int = 0, first_seed: int = 0, **facts: Any) -> list[Outcome]:
    """A complete trial for each value; the settings have different seconds."""
    return [
        Outcome(
            trial=setting * 100 + seed,
            setting=setting,
            seed=seed,
            state="complete",
            values={BETTER.quantity: value},
            look=look,
            seconds=1800.0 * (setting + 1),
            **{"epochs": 5, "batches": 100, "commit": "abc", **facts},
        )
        for setting, row in enumerate(settings)
        for seed, value in enumerate(row, start=first_seed)
    ]


CLEAR = outcomes([0.98, 0.981, 0.979], [0.90, 0.902, 0.899])
CLOSE = outcomes([0.95, 0.97, 0.96], [0.96, 0.95, 0.94])


def test_a_clear_difference_is_reproduced_and_its_opposite_contradicted() -> None:
    opposite = Claim(
        "second-better", "The second is better.", "better", (1, 0), metric=BETTER.metric, higher_is_better=True
    )
    first, second = judge([BETTER, opposite], CLEAR)
    assert (first.verdict, second.verdict) == ("reproduced", "contradicted")
    assert first.evidence.effect == pytest.approx(0.0797, abs=1e-3) == -second.evidence.effect
    assert first.evidence.low < first.evidence.effect < first.evidence.high
    assert (first.seeds, first.missing, first.advice, first.notes) == (3, None, "", ())


def test_less_may_be_better() -> None:
    loss = Claim("a", "b", "better", (0, 1), metric=BETTER.metric, higher_is_better=False)
    assert judge([loss], CLEAR)[0].verdict == "contradicted"


def test_an_undecided_claim_says_how_many_seeds_would_decide_it_and_what_they_cost() -> None:
    (found,) = judge([BETTER], CLOSE)
    assert found.verdict == "undecided"
    assert found.missing is not None
    assert found.missing > 5
    assert found.hours == pytest.approx(found.missing * 1.5)  # half an hour and an hour
    assert found.advice == f"{found.missing} more seeds, {found.hours:.2g} h"


def test_two_seeds_decide_nothing_however_clear() -> None:
    (found,) = judge([BETTER], outcomes([0.98, 0.98], [0.1, 0.11]))
    assert (found.verdict, found.seeds, found.missing) == ("undecided", 2, 1)
    assert judge([BETTER], [])[0].advice == "3 more seeds at least"


def test_no_effect_is_not_decided_by_any_number_of_seeds() -> None:
    (found,) = judge([BETTER], outcomes([0.9, 0.91, 0.92], [0.92, 0.9, 0.91]))
    assert found.advice == "no number of seeds would decide it at the present effect"


def test_seeds_that_were_added_are_a_second_look() -> None:
    more = CLOSE + outcomes([0.99, 0.991], [0.90, 0.901], look=1, first_seed=3)
    (found,) = judge([BETTER], more)
    assert (found.seeds, found.decision.look) == (5, 1)


def test_what_has_to_be_known_beside_the_verdict_is_said() -> None:
    short = Claim("a", "b", "better", (0, 1), metric=BETTER.metric, higher_is_better=True, length=(100, "epochs"))
    mixed = [*CLEAR, *outcomes([0.98], [0.9], first_seed=3, commit="def")]
    mixed.append(Outcome(7, 1, 4, "failed"))
    mixed.append(Outcome(8, 1, 5, "complete", {}, commit="def"))
    assert judge([short], mixed)[0].notes == (
        "at 5 of 100 epochs",
        "1 of 10 trials failed",
        "1 of 9 trials have no val/accuracy",
        "results of 2 commits mixed: abc, def",
    )


def test_a_level_that_was_never_reached_counts_as_later_than_the_longest_run() -> None:
    claim = Claim(
        "a", "b", "better", (0, 1), metric="val/accuracy", measure=Measure("batches_to", (0.9,)), higher_is_better=False
    )
    rows = [
        Outcome(n, setting, seed, "complete", {claim.quantity: value}, batches=100)
        for n, (setting, seed, value) in enumerate(
            [(0, 0, 10.0), (0, 1, 12.0), (0, 2, 11.0), (1, 0, float("inf")), (1, 1, 90.0), (1, 2, float("inf"))]
        )
    ]
    (found,) = judge([claim], rows)
    assert found.samples[1] == {0: 101.0, 1: 90.0, 2: 101.0}
    assert found.notes == ("2 of 6 runs never reached it",)
    assert found.verdict == "reproduced"


@pytest.mark.parametrize(("never", "expected"), [(False, "reproduced"), (True, "contradicted")])
def test_an_event_is_counted(never: bool, expected: str) -> None:
    claim = Claim("a", "b", "event", (0,), event="mode_collapse", never=never)
    rows = [Outcome(n, 0, n, "complete", {claim.quantity: 1.0}) for n in range(8)]
    assert judge([claim], rows)[0].verdict == expected


def test_a_threshold_an_order_a_trend_and_a_similarity() -> None:
    def claim(kind: Any, settings: tuple[int, ...], **more: Any) -> Claim:
        return Claim(kind, "b", kind, settings, metric=BETTER.metric, higher_is_better=True, **more)

    rows = outcomes([0.98, 0.982, 0.981, 0.979], [0.95, 0.951, 0.952, 0.949], [0.90, 0.902, 0.901, 0.903])
    found = judge(
        [
            claim("at_least", (0,), limit=0.97),
            claim("at_most", (0,), limit=0.97),
            claim("order", (0, 1, 2)),
            claim("trend", (2, 1, 0)),
            claim("similar", (0, 1), margin=0.1),
            claim("similar", (0, 1), margin=0.01, relative=True),
        ],
        rows,
    )
    expected = ["reproduced", "contradicted", "reproduced", "reproduced", "reproduced", "contradicted"]
    assert [one.verdict for one in found] == expected


@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        (Measure("mean"), (10 * 2.5 + 10 * 4.5 + 20 * 5) / 40),  # the last value stays for 20 more batches
        (Measure("batches_to", (4.0,), rising=True), 20.0),
        (Measure("batches_to", (2.0,), rising=False), 10.0),
        (Measure("batches_to", (9.0,), rising=True), float("inf")),
        (Measure("change", (0.0, 1.0)), 4.0),
        (Measure("at", (0.6,)), 4.0),
        (Measure("fluctuation"), (1.0 / 2) ** 0.5),
    ],
)
def test_what_is_taken_of_a_curve(measure: Measure, expected: float) -> None:
    steps, values = [10, 20, 30], [1.0, 4.0, 5.0]
    assert measured(measure, steps, values, 50) == pytest.approx(expected)


def test_a_curve_without_finite_values_says_nothing() -> None:
    assert measured(Measure("mean"), [1, 2], [float("nan"), float("inf")], 2) is None
    assert measured(Measure("fluctuation"), [1], [2.0], 2) is None


def test_outcomes_are_kept_in_a_file(tmp_path: Any) -> None:
    path = tmp_path / "kept" / "study.csv"
    rows = [*CLEAR, Outcome(9, 1, 7, "failed", look=1)]
    write_outcomes(path, rows, ["narrow", "wide, too"], "python cli.py study x.yaml")
    assert path.read_text().startswith("# python cli.py study x.yaml\ntrial,setting,seed,look,state,")
    assert read_outcomes(path, ["narrow", "wide, too"]) == rows
    with pytest.raises(UserError, match="line 3: the study has no setting narrow"):
        read_outcomes(path, ["other"])
    path.write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="does not hold the results of a study"):
        read_outcomes(path, ["narrow"])


def test_people_read_the_verdict_with_its_effect_interval_and_seeds() -> None:
    (found,) = judge([BETTER], CLEAR)
    text = "\n".join(lines("study", [found]))
    assert "reproduced    first-better: The first is better." in text
    assert sentence(found).startswith("val/accuracy: effect 0.0797 (0.0")
    assert "p < 0.001, 3 seeds" in sentence(found)


def test_programs_read_plain_values() -> None:
    values = as_values("report1/x", judge([BETTER], [])[0], ["narrow", "wide"])
    assert (values["study"], values["verdict"], values["effect"], values["low"]) == (
        "report1/x",
        "undecided",
        None,
        None,
    )
    assert values["outcomes"] == {"narrow": {}, "wide": {}}
