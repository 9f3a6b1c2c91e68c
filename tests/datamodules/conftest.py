import pytest
import torchvision


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """No test reads or writes the user's cache; returns the folder that stands in for it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "lightning_models"


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """torchvision's downloads fail as they do without a connection."""

    def refuse(folder, download):
        raise OSError("no connection")

    for name in ("MNIST", "FashionMNIST", "CIFAR10"):
        monkeypatch.setattr(torchvision.datasets, name, refuse)
