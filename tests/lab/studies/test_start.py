"""What is said of a study before it starts and of its workers."""

import pytest

from lab.errors import TERMINATED
from lab.studies.start import how_it_ended, mean_seconds


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


def test_the_time_of_a_trial_is_the_mean_of_the_complete_ones(tmp_path):
    assert mean_seconds(tmp_path) is None
    rows = [("complete", "10"), ("failed", "1000"), ("complete", "20"), ("pruned", "2"), ("waiting", "")]
    (tmp_path / "results.csv").write_text("state,seconds\n" + "".join(f"{state},{time}\n" for state, time in rows))
    assert mean_seconds(tmp_path) == 15.0
