"""What is said of a study before it starts and of its workers."""

import pytest

from lab.errors import TERMINATED
from lab.studies.start import dry_run, how_it_ended, mean_seconds
from lab.studies.study_file import read_study
from tests.lab.studies.small_studies import write


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


def test_a_dry_run_multiplies_the_time_of_a_trial_by_their_number(tmp_path, capsys):
    (tmp_path / "results.csv").write_text("state,seconds\ncomplete,50\ncomplete,70\n")
    dry_run(read_study(write(tmp_path / "s.yaml")), tmp_path)
    told = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in told[:4]] == ["0000", "0001", "0002", "0003"]
    assert told[4].startswith(
        "4 trials, about 60 s each and 4 min in all with one worker: the mean of the complete ones"
    )
