"""One clear message for each folder of which no report can be made."""

import re

import pytest

import cli
from tests.lab.study_folders import rewrite, write_run, write_study


def explained(folder, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["report", str(folder)])
    assert stopped.value.code == 2
    text = capsys.readouterr().err
    assert text.startswith("error: ")
    assert text.count("\n") == 1
    return text


def test_folders_without_a_run(tmp_path, capsys):
    assert "holds no run: expected a study.yaml" in explained(tmp_path, capsys)
    (tmp_path / "notes").mkdir()
    assert "found notes" in explained(tmp_path, capsys)
    assert "does not exist: give the folder" in explained(tmp_path / "nowhere", capsys)
    (tmp_path / "file").write_text("")
    assert "file is a file: give the folder" in explained(tmp_path / "file", capsys)


def test_no_folder_at_all(capsys):
    with pytest.raises(SystemExit, match=r"^2$"):
        cli.main(["report"])
    assert "DIR" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("metrics.csv", "epoch,step,a\n0,x,1\n0,2,1\n", r"metrics.csv, line 2: invalid literal"),
        ("metrics.csv", "epoch,step,a\n0,1\n0,2,1\n", r"metrics.csv, line 2: 2 cells, expected 3"),
        ("metrics.csv", "\x00\x01\x02", r"metrics.csv has no column 'step'"),
        ("summary.json", '{"metrics": ', r"summary.json is not valid JSON \("),
        ("summary.json", "[1]", r"summary.json holds a list, expected an object"),
        (
            "summary.json",
            '{"metrics": {"val/fid": "low"}}',
            r"summary.json: metrics.val/fid is 'low', expected a number",
        ),
        ("summary.json", '{"seconds": "long"}', r"summary.json: seconds is 'long', which no run writes"),
        ("alarms.json", '{"name": 1}', r"alarms.json: expected a list of alarms"),
        ("config.yaml", "model: [", r"config.yaml is not valid YAML: "),
        ("samples/grid-0000000.png", "PNG", r"grid-0000000.png is not a picture"),
    ],
)
def test_a_corrupt_file_is_named(tmp_path, capsys, file, content, message):
    run = write_run(tmp_path / "run")
    (run / file).write_text(content)
    assert re.search(message, explained(run, capsys))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"direction": "up"}, "study.yaml: direction is 'up', expected minimize or maximize"),
        ({"record": "val/fid"}, "study.yaml: record is 'val/fid', expected a list of names"),
        (
            {"plot": [{"x": "model.depth", "y": "val/fid"}]},
            "plot has x: model.depth, which is not in results.csv; there are model.latent_dim",
        ),
        ({"plot": ["val/fid"]}, "plot has 'val/fid', expected {x: option, y: metric}"),
    ],
)
def test_mistakes_in_a_study(tmp_path, capsys, changes, message):
    write_study(tmp_path, latent_dims=(10,), seeds=(0,), failing=False, **changes)
    assert message in explained(tmp_path, capsys)


def test_a_study_that_was_not_run(tmp_path, capsys):
    write_study(tmp_path, latent_dims=(10,), seeds=(0,), failing=False)
    header = (tmp_path / "results.csv").read_text().splitlines()[0]
    (tmp_path / "results.csv").write_text(header + "\n")
    assert "results.csv has no trial yet" in explained(tmp_path, capsys)
    (tmp_path / "results.csv").unlink()
    assert "results.csv does not exist: the study" in explained(tmp_path, capsys)


def test_a_state_that_is_none(tmp_path, capsys):
    write_study(tmp_path, latent_dims=(10,), seeds=(0, 1), failing=False)
    rewrite(tmp_path / "results.csv", "state", ["done", "complete"])
    assert "results.csv, line 2: state is 'done', expected one of complete, failed" in explained(tmp_path, capsys)


def test_a_page_that_cannot_be_written_is_named(tmp_path, capsys):
    run = write_run(tmp_path / "run")
    (run / "report.html").mkdir()
    assert f"{run / 'report.html'} cannot be written (" in explained(run, capsys)
    assert not list(run.glob(".report*"))
