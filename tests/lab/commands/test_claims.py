"""claims: the verdicts of a study's folder, of files and of kept results, for people and for programs."""

import csv
import io
import json
import os
from pathlib import Path

import pytest
import yaml

import cli
from lab import shipped
from tests.lab.study_folders import write_study

CLAIMS = [
    {
        "id": "small-better",
        "statement": "Thirty-two latent variables are best.",
        "better": {"model.latent_dim": 32},
        "than": "others",
        "length": "100 epochs",
    },
    {
        "id": "loss-falls",
        "statement": "The distance falls.",
        "metric": "val/fid",
        "measure": {"change": [0, 1]},
        "at_most": 0,
        "setting": {"model.latent_dim": 32},
    },
]


def one_study(folder, **changes):
    return write_study(folder, (8, 32), (0, 1, 2), failing=False, claims=CLAIMS, **changes)


def printed(capsys, *arguments):
    cli.main(["claims", *map(str, arguments)])
    return capsys.readouterr().out


def test_the_folder_of_a_study(tmp_path, capsys):
    one_study(tmp_path / "latent")
    text = printed(capsys, tmp_path / "latent")
    assert "reproduced    small-better: Thirty-two latent variables are best." in text
    assert "val/fid: effect 40 (" in text
    assert "3 seeds, at 10 of 100 epochs" in text
    assert "val/fid, change 0 to 1: effect 133 (" in text
    assert text.endswith("2 claims: 2 reproduced, 0 contradicted, 0 undecided\n")


def test_json_has_every_outcome_and_csv_a_line_for_each_claim(tmp_path, capsys):
    one_study(tmp_path / "latent")
    first, second = json.loads(printed(capsys, tmp_path / "latent", "--json"))
    assert (first["verdict"], first["seeds"], first["outcomes"]["latent_dim=32"]) == (
        "reproduced",
        3,
        pytest.approx({"0": 30.74, "1": 33.74, "2": 36.74}, abs=0.01),
    )
    rows = list(csv.DictReader(io.StringIO(printed(capsys, tmp_path / "latent", "--csv"))))
    assert [(row["id"], row["verdict"]) for row in rows] == [
        ("small-better", "reproduced"),
        ("loss-falls", "reproduced"),
    ]
    assert second["quantity"] == rows[1]["quantity"] == "val/fid, change 0 to 1"


def test_seeds_that_were_added_count(tmp_path, capsys):
    one_study(tmp_path / "latent")
    write_study(tmp_path / "latent" / "added" / "1", (32, 8), (3, 4), failing=False)
    first, _ = json.loads(printed(capsys, tmp_path / "latent", "--json"))
    assert first["seeds"] == 5
    assert set(first["outcomes"]["latent_dim=8"]) == {"0", "1", "2", "3", "4"}


@pytest.fixture
def study_file(tmp_path, monkeypatch):
    """A study's file in a folder of its own, which is the working directory, and no kept results."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shipped, "PACKAGE", tmp_path / "lab")
    Path("configs").mkdir()
    Path("configs/base.yaml").write_text("{}")
    Path("own").mkdir()
    study = {
        "title": "Latent size",
        "base": "configs/base.yaml",
        "grid": {"model.latent_dim": [8, 32]},
        "seeds": [0, 1, 2],
        "record": ["val/fid", "val/recall"],
        "claims": CLAIMS,
    }
    Path("own/latent.yaml").write_text(yaml.safe_dump(study))
    return Path("own/latent.yaml")


def test_a_file_whose_study_was_not_run(study_file, capsys):
    text = printed(capsys, study_file)
    assert "latent (no runs yet)" in text
    assert "3 more seeds at least" in text
    assert text == printed(capsys, "own")


def test_a_file_takes_the_study_of_its_name(study_file, capsys):
    one_study(Path("elsewhere/latent"))
    assert "2 reproduced" in printed(capsys, study_file, "--results", "elsewhere")


def test_kept_results_decide_where_the_runs_are_gone(study_file, capsys):
    one_study(Path("runs/studies/latent"))
    before = json.loads(printed(capsys, study_file, "--json", "--save", "docs/results"))
    os.rename("runs", "gone")
    after = json.loads(printed(capsys, study_file, "--json"))
    assert [row["verdict"] for row in after] == ["reproduced", "reproduced"]
    for name, kept in after[0]["outcomes"].items():
        assert kept == pytest.approx(before[0]["outcomes"][name], rel=1e-5)
    assert "latent (docs/results/latent.csv)" in printed(capsys, study_file).replace(f"{Path.cwd()}/", "")


@pytest.mark.parametrize(
    ("place", "message"),
    [("nowhere", "nowhere does not exist: give a study's folder"), ("configs", "has no study with claims")],
)
def test_mistakes(study_file, place, message, capsys):
    Path("configs/base.yaml").unlink()
    with pytest.raises(SystemExit) as ended:
        cli.main(["claims", place])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_a_study_without_claims_says_so(tmp_path, capsys):
    write_study(tmp_path / "latent")
    with pytest.raises(SystemExit):
        cli.main(["claims", str(tmp_path / "latent")])
    assert "has no claims: write some under `claims`" in capsys.readouterr().err


def test_fewer_than_three_seeds_are_refused_in_a_file_with_claims(study_file, capsys):
    study_file.write_text(study_file.read_text().replace("- 2\n", ""))
    with pytest.raises(SystemExit):
        cli.main(["claims", str(study_file)])
    assert "seeds is [0, 1], and fewer than 3 decide no claim" in capsys.readouterr().err


@pytest.mark.full
def test_wandb_gets_a_table_of_each_study(study_file, capsys, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    one_study(Path("runs/studies/latent"))
    cli.main(["claims", str(study_file), "--wandb", "mine"])
    assert "W&B          offline: a table of latent" in capsys.readouterr().err
    (table,) = Path("wandb").glob("offline-run-*/files/media/table/claims_*.table.json")
    kept = json.loads(table.read_text())
    assert kept["columns"][:3] == ["study", "id", "verdict"]
    assert [row[:3] for row in kept["data"]] == [
        ["latent", "small-better", "reproduced"],
        ["latent", "loss-falls", "reproduced"],
    ]


def test_wandb_that_is_off_gets_nothing(study_file, capsys, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    cli.main(["claims", str(study_file), "--wandb", "mine"])
    assert "W&B          disabled: a table of latent" in capsys.readouterr().err
    assert not Path("wandb").exists()
