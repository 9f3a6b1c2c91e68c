from types import SimpleNamespace

import pytest

from lightning_models.callbacks import throughput as module
from lightning_models.callbacks.throughput import Throughput


def test_samples_of_all_processes_over_the_seconds_inside_training_batches(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(module, "writes_a_row", lambda trainer: trainer.writes)
    logged = []
    model = SimpleNamespace(log=lambda name, value: logged.append((name, value)))
    speed = Throughput()
    assert speed.samples_per_second() is None
    for size, seconds, writes in ((10, 1.0, False), (10, 3.0, True), (20, 2.0, True), (6, 4.0, False)):
        clock[0] += 100.0  # a validation
        speed.on_train_batch_start()
        clock[0] += seconds
        speed.on_train_batch_end(SimpleNamespace(world_size=2, writes=writes), model, None, [range(size)], 0)
    name = "train/samples_per_second"
    assert logged == [(name, 2 * 20 / 4.0), (name, 2 * 20 / 2.0)]
    assert speed.samples_per_second() == pytest.approx(2 * 46 / 10.0)
