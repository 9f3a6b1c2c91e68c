from types import SimpleNamespace

import pytest

from lightning_models.callbacks import throughput as module
from lightning_models.callbacks.throughput import Throughput


def test_samples_of_all_processes_over_wall_time_without_validations(monkeypatch):
    clock = [7.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(module, "writes_a_row", lambda trainer: trainer.writes)
    logged = []
    model = SimpleNamespace(log=lambda name, value: logged.append((name, value)))
    speed = Throughput()
    speed.on_train_start(None, model)
    assert speed.samples_per_second() is None
    for size, loader, seconds, writes in (
        (10, 0.5, 1.0, False),
        (10, 0.5, 3.0, True),
        (20, 1.0, 2.0, True),
        (6, 1.5, 4.0, False),
    ):
        clock[0] += loader
        speed.on_train_batch_start()
        clock[0] += seconds
        speed.on_train_batch_end(SimpleNamespace(world_size=2, writes=writes), model, None, [range(size)], 0)
        clock[0] += 0.25  # other callbacks
        speed.on_validation_start(None, model)
        clock[0] += 100.0
        speed.on_validation_end(None, model)
    clock[0] += 0.75  # the last checkpoint
    speed.on_train_end(None, model)
    name = "train/samples_per_second"
    assert logged == [(name, 2 * 20 / (1.5 + 0.25 + 3.5)), (name, 2 * 20 / (0.25 + 3.0))]
    assert speed.seconds == {"batches": 10.0, "between_batches": 3.5 + 4 * 0.25 + 0.75, "validation": 400.0}
    assert speed.samples_per_second() == pytest.approx(2 * 46 / 15.25)
