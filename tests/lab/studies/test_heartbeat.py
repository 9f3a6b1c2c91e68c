"""Which processes still work on a trial."""

import os
import subprocess
import sys
import time
from datetime import datetime, timedelta

import pytest
from optuna.trial import TrialState, create_trial

from lab.studies.heartbeat import STALE_SECONDS, is_stale, started


def state_of(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]


def test_a_living_process_has_a_start_that_stays():
    assert started(os.getpid()).isdigit()
    assert started(os.getpid()) == started(os.getpid())


def test_a_killed_process_is_dead_before_its_parent_waits_for_it():
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert started(child.pid).isdigit()
        child.kill()
        while state_of(child.pid) != "Z":
            time.sleep(0.01)
        assert started(child.pid) == ""
    assert started(child.pid) == ""


@pytest.mark.parametrize(("age", "stale"), [(None, False), (STALE_SECONDS - 20, False), (STALE_SECONDS + 20, True)])
def test_a_trial_of_an_earlier_version_that_has_not_said_whose_it_is(age, stale):
    trial = create_trial(state=TrialState.RUNNING)
    trial.datetime_start = None if age is None else datetime.now() - timedelta(seconds=age)
    assert is_stale(trial) is stale
