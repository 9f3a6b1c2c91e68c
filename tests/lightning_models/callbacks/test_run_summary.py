import json
from types import SimpleNamespace

import pytest
import torch

from lightning_models.callbacks import run_summary as module
from lightning_models.callbacks.run_summary import RunSummary
from lightning_models.callbacks.sample_quality import SampleQuality
from lightning_models.callbacks.throughput import Throughput
from lightning_models.tracking.metrics_file import MetricsFile


class TwoNetworks(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.generator, self.discriminator = torch.nn.Linear(3, 2), torch.nn.Linear(2, 1)
        self.loss = torch.nn.ReLU()  # without parameters


def trainer(tmp_path, **attributes):
    known = {"is_global_zero": True, "default_root_dir": str(tmp_path), "loggers": [], "callbacks": []}
    known |= {"callback_metrics": {}, "global_step": 40, "current_epoch": 4, "precision": "bf16-mixed"}
    known |= {"accelerator": object(), "world_size": 3, "datamodule": None, "state": SimpleNamespace(fn="fit")}
    return SimpleNamespace(**known | attributes)


@pytest.fixture
def clock(monkeypatch):
    now = SimpleNamespace(seconds=1000.0)
    monkeypatch.setattr(module.time, "time", lambda: now.seconds)
    return now


def test_what_is_summarized(tmp_path, clock, monkeypatch):
    monkeypatch.setattr(module, "commit", lambda: "0123abc")
    summary = RunSummary("fit", 7)
    clock.seconds += 12.5
    speed, quality = Throughput(), SampleQuality()
    speed.total_samples, speed.samples = 100, 20
    speed.seconds = {"batches": 3.0, "between_batches": 1.0, "validation": 9.125}
    quality.report = {"network": "mnist"}
    data = SimpleNamespace(fingerprint="0123", found={"train": 5})
    metrics = {"val/loss": torch.tensor(2.0), "train/loss": torch.tensor(1.0)}
    given = trainer(tmp_path, callbacks=[speed, quality], datamodule=data, callback_metrics=metrics)
    summary.write(given, TwoNetworks())
    found = json.loads((tmp_path / "summary.json").read_text())
    assert found["hardware"].pop("devices") == 3
    assert {"processor", "cores", "accelerator", "gpu"} == found.pop("hardware").keys()
    assert {"python", "torch", "pytorch-lightning", "torchvision", "commit"} == found.pop("versions").keys()
    assert len(found.pop("starts")) == 1
    assert found == {
        "command": "fit",
        "model": "TwoNetworks",
        "metrics": {"train/loss": 1.0, "val/loss": 2.0},
        "quality": {"network": "mnist"},
        "data": {"fingerprint": "0123", "found": {"train": 5}},
        "parameters": {"generator": 8, "discriminator": 3},
        "batches": 40,
        "epochs": 4,
        "seconds": 12.5,
        "samples_per_second": 30.0,
        "seconds_by_part": {"batches": 3.0, "between_batches": 1.0, "validation": 9.12},
        "seed": 7,
        "precision": "bf16-mixed",
    }


def test_seconds_and_metrics_of_all_parts_of_a_resumed_run(tmp_path, clock):
    first, checkpoint = RunSummary("fit", 0), {}
    clock.seconds += 10
    metrics = {"val/fid": torch.tensor(5.0), "val/loss": torch.tensor(3.0)}
    first.on_save_checkpoint(trainer(tmp_path, callback_metrics=metrics), None, checkpoint)
    resumed, evaluated = RunSummary("fit", 0), RunSummary("validate", 0)
    for summary, fn in ((resumed, "fit"), (evaluated, "validate")):
        summary.on_load_checkpoint(trainer(tmp_path, state=SimpleNamespace(fn=fn)), None, checkpoint)
    clock.seconds += 5
    later = trainer(tmp_path, callback_metrics={"val/loss": torch.tensor(2.0)})
    found = resumed.summary(later, TwoNetworks())
    assert (found["seconds"], found["metrics"]) == (15.0, {"val/fid": 5.0, "val/loss": 2.0})
    found = evaluated.summary(later, TwoNetworks())
    assert (found["seconds"], found["metrics"]) == (5.0, {"val/loss": 2.0})


@pytest.mark.parametrize(("step", "kept"), [(0, []), (20, [10])])
def test_a_run_drops_the_rows_that_it_writes_again(tmp_path, step, kept):
    logger = MetricsFile(tmp_path)
    for row in (10, 20, 30):
        logger.log_metrics({"loss": 1.0}, row)
    RunSummary("fit", 0).on_train_start(trainer(tmp_path, global_step=step, loggers=[object(), logger]), None)
    assert [int(row["step"]) for row in MetricsFile(tmp_path).rows()] == kept


def test_a_run_that_was_at_its_end_keeps_its_summary(tmp_path):
    path = tmp_path / "summary.json"
    path.write_text("of before")
    summary = RunSummary("fit", 0)
    summary.on_fit_end(trainer(tmp_path), TwoNetworks())
    assert path.read_text() == "of before"
    summary.on_train_batch_start()
    summary.on_fit_end(trainer(tmp_path, is_global_zero=False), TwoNetworks())
    assert path.read_text() == "of before"
    summary.on_fit_end(trainer(tmp_path), TwoNetworks())
    assert json.loads(path.read_text())["command"] == "fit"


def test_the_table_of_parameters(tmp_path):
    RunSummary("fit", 0).on_fit_start(trainer(tmp_path), TwoNetworks())
    lines = (tmp_path / "parameters.csv").read_text().splitlines()
    assert lines[1] == "generator.weight,2 x 3,6"
    assert lines[-1] == "total,,11"


def test_each_start_of_a_run_is_listed_with_its_job(tmp_path, monkeypatch):
    monkeypatch.setattr(module.platform, "node", lambda: "desk")
    for name in (*module.JOBS, "SLURM_JOB_NODELIST"):
        monkeypatch.delenv(name, raising=False)
    first, checkpoint = RunSummary("fit", 0), {}
    first.on_save_checkpoint(trainer(tmp_path), TwoNetworks(), checkpoint)
    monkeypatch.setenv("SLURM_JOB_ID", "4568")
    monkeypatch.setenv("SLURM_JOB_NODELIST", "a[1-2]")
    resumed = RunSummary("fit", 0)
    resumed.on_load_checkpoint(trainer(tmp_path), None, checkpoint)
    found = resumed.summary(trainer(tmp_path), TwoNetworks())["starts"]
    assert [(start["hosts"], start["job"]) for start in found] == [("desk", None), ("a[1-2]", "4568")]
    assert all(start["time"].startswith("20") for start in found)
    del checkpoint["run_summary"]["starts"]  # as an earlier version wrote it
    resumed = RunSummary("fit", 0)
    resumed.on_load_checkpoint(trainer(tmp_path), None, checkpoint)
    assert len(resumed.starts) == 1
