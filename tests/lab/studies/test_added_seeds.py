"""Which seeds are added to a study whose claims are not decided, and the whole loop."""

import json
import math

import pytest
import yaml

import cli
from lab.claims.claim import Claim
from lab.claims.judge import Judged
from lab.claims.statistics import NONE
from lab.claims.verdicts import Decision
from lab.errors import UserError
from lab.report.outcomes import judge_folder
from lab.studies import engine, start
from lab.studies.added_seeds import Round, begun_round, hours_of, next_round, study_of_round
from lab.studies.study_file import read_study


def judged(name, seeds, missing, hours, verdict="undecided", settings=(0, 1)):
    claim = Claim(name, "It is so.", "better", settings)
    return Judged(claim, NONE, Decision(verdict, 0.5, 0), ({}, {}), seeds, missing, hours)


def test_the_claim_that_is_decided_for_the_lowest_cost_comes_first():
    claims = [judged("dear", 4, 4, 8.0), judged("cheap", 4, 6, 3.0), judged("done", 4, None, None, "reproduced")]
    assert next_round(claims, math.inf) == Round("cheap", (0, 1), 6, 3.0)


def test_at_least_half_as_many_seeds_are_added():
    assert next_round([judged("a", 5, 1, 1.0)], math.inf) == Round("a", (0, 1), 3, 3.0)


def test_as_many_seeds_as_can_be_paid_for_are_added():
    assert next_round([judged("a", 3, 20, 40.0)], 9.0) == Round("a", (0, 1), 4, 8.0)
    assert next_round([judged("a", 3, 20, 40.0)], 3.0) is None


def test_nothing_is_added_where_no_number_would_decide():
    assert next_round([judged("a", 3, None, None)], math.inf) is None
    assert next_round([], math.inf) is None


@pytest.mark.parametrize(("budget", "hours"), [("90s", 0.025), ("30m", 0.5), ("2h", 2.0), ("1.5d", 36.0)])
def test_a_budget_has_a_unit(budget, hours):
    assert hours_of(budget) == pytest.approx(hours)


@pytest.mark.parametrize("budget", ["2", "h", "", "-2h", "0h", "2 hours", "infh", "nanh"])
def test_a_budget_that_is_none(budget):
    with pytest.raises(UserError, match="give a time such as 30m, 2h"):
        hours_of(budget)


STUDY = {
    "title": "Widths",
    "base": "configs/classifier/digits.yaml",
    "grid": {"model.network.hidden_dims": [[4], [8], [64]]},
    "seeds": [0, 1, 2],
    "record": ["val/accuracy"],
    "claims": [
        {
            "id": "wider",
            "statement": "Wider is better.",
            "better": {"model.network.hidden_dims": [64]},
            "than": {"model.network.hidden_dims": [4]},
        }
    ],
}


@pytest.fixture
def made_up_runs(in_tmp_path, monkeypatch):
    """A study whose trials take no time: their accuracy follows from the width and the seed. Returns its file."""

    def run_trial(study, run_dir, setting, seed, callbacks):
        run_dir.mkdir(parents=True, exist_ok=True)
        width = setting["model.network.hidden_dims"][0]
        accuracy = 0.9 + 0.0004 * width + 0.02 * ((seed * (width % 7)) % 5 - 2) / 2
        summary = {"metrics": {"val/accuracy": accuracy}, "seconds": 36.0, "seed": seed, "epochs": 2, "batches": 20}
        (run_dir / "config.yaml").write_text("{}")
        (run_dir / "summary.json").write_text(json.dumps(summary))
        found = {"run_dir": f"trials/{run_dir.name}", "metrics": summary["metrics"], "parameters": width}
        return {**found, "seconds": 36.0, "alarms": ""}

    monkeypatch.setattr(engine, "run_trial", run_trial)
    monkeypatch.setattr("lab.studies.start.check_options", lambda study: None)
    file = in_tmp_path / "widths.yaml"
    file.write_text(yaml.safe_dump(STUDY))
    return file


def started(*options):
    with pytest.raises(SystemExit) as ended:
        cli.main(["study", *map(str, options)])
    return ended.value.code


def test_seeds_are_added_until_the_verdict_stands(made_up_runs, in_tmp_path, capsys):
    assert started(made_up_runs, "--study_dir", "widths", "--until_decided") == 0
    text = capsys.readouterr().out
    assert "more seeds for wider, about " in text
    assert "widths: every claim is decided" in text
    assert text.endswith("1 claim: 1 reproduced, 0 contradicted, 0 undecided\n")
    (found,) = judge_folder(in_tmp_path / "widths")
    assert (found.verdict, found.decision.look) == ("reproduced", 1)
    assert set(found.samples[0]) == set(range(found.seeds))  # further seeds, none twice
    assert set(found.samples[0]) == set(found.samples[1])
    added = yaml.safe_load((in_tmp_path / "widths/added/1/study.yaml").read_text())
    assert added["labels"] == ["hidden_dims=[64]", "hidden_dims=[4]"]  # no seed is spent on the third setting
    before = (in_tmp_path / "widths/added/1/results.csv").read_text()
    assert started(made_up_runs, "--study_dir", "widths", "--until_decided") == 0
    assert (in_tmp_path / "widths/added/1/results.csv").read_text() == before


def test_a_budget_that_pays_for_nothing_adds_nothing(made_up_runs, in_tmp_path, capsys):
    assert started(made_up_runs, "--study_dir", "widths", "--until_decided", "--budget", "30s") == 0
    assert "what is left of the budget (0.0083 h) decides nothing" in capsys.readouterr().out
    assert not (in_tmp_path / "widths/added").exists()


def test_added_seeds_that_were_stopped_are_run_first(made_up_runs, in_tmp_path):
    assert started(made_up_runs, "--study_dir", "widths") == 0
    study = read_study(made_up_runs)
    definition = study.definition(made_up_runs)
    more = study_of_round(study, definition, Round("wider", (2, 0), 2, 1.0), 3, 1)
    folder = in_tmp_path / "widths" / "added" / "1"
    start.prepare(more, folder, "study")
    assert begun_round(study, folder) == more
    assert started(made_up_runs, "--study_dir", "widths", "--until_decided", "--budget", "30s") == 0
    assert judge_folder(in_tmp_path / "widths")[0].seeds == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--budget", "2h"], "--budget is for the seeds that --until_decided adds"),
        (["--until_decided"], "has no claims"),
    ],
)
def test_mistakes(made_up_runs, options, message, capsys):
    made_up_runs.write_text(yaml.safe_dump({key: value for key, value in STUDY.items() if key != "claims"}))
    assert started(made_up_runs, "--study_dir", "widths", *options) == 2
    assert message in capsys.readouterr().err


def test_claims_may_be_added_to_a_study_that_has_run(made_up_runs, in_tmp_path):
    made_up_runs.write_text(yaml.safe_dump({key: value for key, value in STUDY.items() if key != "claims"}))
    assert started(made_up_runs, "--study_dir", "widths") == 0
    made_up_runs.write_text(yaml.safe_dump(STUDY))
    assert started(made_up_runs, "--study_dir", "widths") == 0
    kept = yaml.safe_load((in_tmp_path / "widths" / "study.yaml").read_text())
    assert kept["claims"] == STUDY["claims"]
    assert judge_folder(in_tmp_path / "widths")[0].seeds == 3
