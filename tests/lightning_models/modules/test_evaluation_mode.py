import pytest
from torch import nn

from lightning_models.modules.evaluation_mode import evaluating


@pytest.mark.parametrize("was_training", [True, False])
@pytest.mark.parametrize("error", [None, KeyError])
def test_the_mode_is_as_before_afterwards(was_training, error):
    network = nn.Sequential(nn.Dropout()).train(was_training)
    try:
        with evaluating(network):
            assert not network[0].training
            if error:
                raise error
    except KeyError:
        pass
    assert network.training is network[0].training is was_training
