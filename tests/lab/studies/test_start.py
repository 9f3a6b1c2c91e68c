"""What is said of the workers of a study."""

import pytest

from lab.errors import TERMINATED
from lab.studies.start import how_it_ended


@pytest.mark.parametrize(
    ("exitcode", "text"),
    [
        (1, "ended with status 1"),
        (2, "ended with status 2"),
        (-9, "was killed by SIGKILL"),
        (-1, "was killed by SIGHUP"),
        (TERMINATED, "was stopped by SIGTERM"),
    ],
)
def test_the_end_of_a_worker_is_told_from_its_exit_code(exitcode, text):
    assert how_it_ended(exitcode) == text
