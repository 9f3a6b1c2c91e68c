import pytest
from pytorch_lightning.strategies import DDPStrategy, SingleDeviceStrategy

from lab.compat.unused_parameters import find_unused_parameters


@pytest.mark.parametrize(("given", "expected"), [({}, True), ({"find_unused_parameters": False}, False)])
def test_the_option_is_on_unless_the_user_has_set_it(given, expected, monkeypatch):
    strategy = DDPStrategy(**given)
    find_unused_parameters(strategy)
    passed = {}
    monkeypatch.setattr(
        "pytorch_lightning.strategies.ddp.DistributedDataParallel", lambda module, **options: passed.update(options)
    )
    monkeypatch.setattr(DDPStrategy, "determine_ddp_device_ids", lambda self: None)
    strategy.setup_optimizers = lambda trainer: None
    strategy._setup_model(None)
    assert passed["find_unused_parameters"] is expected


def test_other_strategies_are_left_alone():
    find_unused_parameters(SingleDeviceStrategy("cpu"))
