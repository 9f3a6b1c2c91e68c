import optuna
import pytest

from lab.studies.queue import Queue


@pytest.fixture
def optuna_study():
    return optuna.create_study()


@pytest.fixture
def queue(optuna_study):
    """Of three places, with nothing taken."""
    return Queue(optuna_study, 3)
