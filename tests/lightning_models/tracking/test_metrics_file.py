"""metrics.csv: its rows, after a resume, a kill and a power cut."""

import csv

import pytest
import torch

from lightning_models.tracking.metrics_file import MetricsFile


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_row_is_on_disk_at_once_with_sorted_columns(tmp_path):
    log = MetricsFile(tmp_path)
    log.log_metrics({"val/loss": torch.tensor(0.5), "epoch": 3}, 7)
    assert (tmp_path / "metrics.csv").read_bytes() == b"epoch,step,val/loss\r\n3,7,0.5\r\n"
    log.log_metrics({"train/loss": 0.25}, 8)
    assert (tmp_path / "metrics.csv").read_bytes() == b"epoch,step,train/loss,val/loss\r\n3,7,,0.5\r\n,8,0.25,\r\n"


def test_a_resumed_run_appends_to_the_same_file(tmp_path):
    first = MetricsFile(tmp_path)
    for step in (4, 9, 10, 14):
        first.log_metrics({"train/loss": step / 10}, step)
    second = MetricsFile(tmp_path)
    second.drop_from(10)  # a checkpoint of 10 batches, numbers 0 to 9
    second.log_metrics({"train/loss": 7.0, "val/loss": 8.0}, 14)
    rows = read(tmp_path / "metrics.csv")
    assert [(int(row["step"]), float(row["train/loss"])) for row in rows] == [(4, 0.4), (9, 0.9), (14, 7.0)]
    assert [row["val/loss"] for row in rows] == ["", "", "8.0"]


def test_a_run_that_is_killed_while_a_column_is_added_keeps_its_rows(tmp_path, monkeypatch):
    log = MetricsFile(tmp_path)
    log.log_metrics({"val/loss": 1.0}, 9)
    monkeypatch.setattr(csv.DictWriter, "writerows", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        log.log_metrics({"train/loss": 2.0}, 9)
    assert [row["val/loss"] for row in read(tmp_path / "metrics.csv")] == ["1.0"]
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.csv"]


HEADER = b"epoch,step,train/loss\r\n"
GOOD = b"0,4,0.4\r\n,9,nan\r\n"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (b"", ""),
        (b"1,14,0.5", "metrics.csv: removed 1 damaged row\n"),  # 0.5 may be the beginning of 0.57
        (b"1,", "metrics.csv: removed 1 damaged row\n"),
        (b"1,14,0.5\r\n" + bytes(300), "metrics.csv: removed 1 damaged row\n"),
        (b"1,1" + bytes(30) + b"\r\n,,0.5\r\n", "metrics.csv: removed 2 damaged rows\n"),
        (b"1,14,\xff\r\n", "metrics.csv: removed 1 damaged row\n"),
    ],
)
def test_a_damaged_file_keeps_its_intact_rows(tmp_path, damage, message, capsys):
    path = tmp_path / "metrics.csv"
    path.write_bytes(HEADER + GOOD + damage)
    log = MetricsFile(tmp_path)
    log.drop_from(10)
    assert path.read_bytes() == HEADER + GOOD
    assert capsys.readouterr().out == message
    log.log_metrics({"train/loss": 0.25}, 14)
    assert path.read_bytes() == HEADER + GOOD + b",14,0.25\r\n"
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("content", [b"", b"epoch,st", bytes(50), b"a,b\r\n1,2\r\n"])
def test_a_file_without_a_header_is_begun_anew(tmp_path, content):
    (tmp_path / "metrics.csv").write_bytes(content)
    log = MetricsFile(tmp_path)
    log.drop_from(5)
    log.log_metrics({"val/loss": 2.0}, 6)
    assert read(tmp_path / "metrics.csv") == [{"step": "6", "val/loss": "2.0"}]
