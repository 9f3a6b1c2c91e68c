"""The claims of the shipped studies."""

import re
from pathlib import Path

import pytest

import cli
from lab.studies.study_file import read_study

ROOT = Path(__file__).parents[3]
FILES = sorted((ROOT / "configs" / "studies").rglob("*.yaml"))


@pytest.fixture(scope="module")
def definitions():
    """Of each study with claims, by its name, at its full size."""
    studies = {path: read_study(path) for path in FILES}
    return {study.name: study.definition(path) for path, study in studies.items() if study.claims}


def test_no_two_claims_have_the_same_id(definitions):
    ids = [claim.id for definition in definitions.values() for claim in definition.claims]
    assert len(ids) == len(set(ids)) >= 60


def test_every_report_has_claims(definitions):
    assert {name.partition("/")[0] for name in definitions} == {"families", *(f"report{n}" for n in range(1, 6))}


def in_ledger(name):
    """How the ledger names a study: with a link to its verdicts if outcomes are kept, of the full or the quick size."""
    kept = [size for size in (name, f"{name}-quick") if (ROOT / "docs" / "results" / f"{size}.csv").is_file()]
    return f"[`{name}`](results/README.md#{kept[0].replace('/', '')})" if kept else f"`{name}`"


def test_the_ledger_lists_every_claim_with_its_study_and_statement(definitions):
    ledger = (ROOT / "docs" / "REPORTS.md").read_text(encoding="utf-8").partition("## Every statement")[2]
    rows = [
        (f"| {claim.statement} |", f"`{claim.id}` in {in_ledger(name)} |")
        for name, d in definitions.items()
        for claim in d.claims
    ]
    lines = [line for line in ledger.splitlines() if line.startswith("| ") and "statement |" not in line]
    assert [row for row in rows if not any(row[0] in line and row[1] in line for line in lines)] == []
    assert sum("| none: " not in line for line in lines) == len(rows)


def test_alarms_of_claims_exist(definitions):
    known = (ROOT / "docs" / "alarms.md").read_text(encoding="utf-8")
    events = {claim.event for definition in definitions.values() for claim in definition.claims if claim.event}
    assert {event for event in events if f"| `{event}` |" not in known} == set()


EXAMPLE = re.search(r"```yaml\n(.*?)```", (ROOT / "docs" / "claims.md").read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.slow
def test_the_example_of_the_docs_is_decided(in_tmp_path, capsys):
    assert EXAMPLE is not None
    Path("rates.yaml").write_text(EXAMPLE[1])
    with pytest.raises(SystemExit) as ended:
        cli.main(["study", "rates.yaml"])
    assert ended.value.code == 0
    capsys.readouterr()
    cli.main(["claims", "runs/studies/rates"])
    assert "reproduced    higher-rate-better: A learning rate of 3e-3 is better than 1e-5." in capsys.readouterr().out
