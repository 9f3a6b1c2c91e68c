"""Where runs are looked for."""

import pytest

from lab.errors import UserError
from lab.report.collect import collect, run_folders
from tests.lab.study_folders import write_run


def made(folder):
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("{}")
    (folder / "summary.json").write_text("{}")


def test_runs_are_found_up_to_four_folders_deep_in_order_and_never_hidden_or_in_a_run(tmp_path):
    for name in ("b", "a/b/c/d", "a/b/c2", "a/b/c/e/f", ".hidden", "a/.trash/run", "b/inner", "c/validate", "c/test-2"):
        made(tmp_path / name)
    (tmp_path / "c" / "test-2" / "metrics.csv").write_text("epoch,step\n")  # a run of that name
    found = [path.relative_to(tmp_path).as_posix() for path in run_folders(tmp_path, 4)]
    assert found == ["a/b/c/d", "a/b/c2", "b", "c/test-2"]
    assert [run.name for run in collect(tmp_path).runs] == found


def test_what_is_there_is_named_where_no_run_is(tmp_path):
    made(tmp_path / "a" / "b" / "c" / "d" / "e")
    with pytest.raises(UserError, match=r"holds no run: .*; found a$"):
        collect(tmp_path)


def test_a_run_is_titled_by_model_and_data(tmp_path):
    run = write_run(tmp_path / "run")
    assert (collect(run).kind, collect(run).title) == ("run", "run")
    with (run / "config.yaml").open("a") as file:
        file.write("data: {class_path: datamodules.images.Digits}\n")
    assert collect(run).title == "GAN on Digits"
