import pytest

from tests.datamodules.sequences.line_files import numbered, write_classes


@pytest.fixture
def folder(tmp_path):
    """Two classes that share a name, with repetitions."""
    return write_classes(
        tmp_path / "names", {"large": [*numbered("a", 100), "a1", "both"], "small": [*numbered("b", 20), "both"]}
    )
