"""A study that was run, for the tests of the report page."""

import pytest

from tests.studies.study_folders import write_study


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    """Latent sizes 10, 20, 50 with two seeds; the second seed of 10 failed, that of 50 was pruned."""
    return write_study(tmp_path_factory.mktemp("study"))
