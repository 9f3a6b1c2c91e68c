"""How a process was started, as its environment tells, and how many there should be."""

import pytest

from lab.errors import UserError
from lab.training.launchers import MEETING, Launch, check_size, find_launch, make_known, name_the_first_host

STEP = {
    **{"SLURM_JOB_ID": "123456", "SLURM_STEP_ID": "0", "SLURM_NTASKS": "4", "SLURM_PROCID": "3"},
    **{"SLURM_JOB_NAME": "fit", "SLURM_STEP_NUM_NODES": "2", "SLURM_STEP_NODELIST": "gpu[07-08]"},
}
TORCHRUN = {"TORCHELASTIC_RUN_ID": "x", "RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "gpu07"}


def test_a_process_alone():
    assert find_launch({}) == Launch()
    assert find_launch({"SLURM_NTASKS": "1", "SLURM_JOB_NAME": "fit"}) == Launch()
    assert find_launch({**STEP, "SLURM_JOB_NAME": "interactive"}) == Launch()


def test_a_task_of_srun():
    assert find_launch(STEP) == Launch("srun", 3, 4, "123456.0.0", "gpu07", 28456)
    assert find_launch({**STEP, "SLURM_RESTART_COUNT": "2"}).key == "123456.0.2"
    assert find_launch({**STEP, "SLURM_STEP_NUM_NODES": "1"}).host == "127.0.0.1"
    assert find_launch({**STEP, "MASTER_ADDR": "10.0.0.7"}).host == "10.0.0.7"


def test_torch_meets_where_the_processes_have_met(monkeypatch):
    monkeypatch.setattr("os.environ", environment := {})
    name_the_first_host(find_launch(TORCHRUN))  # torchrun has named it
    name_the_first_host(Launch())
    assert environment == {}
    name_the_first_host(find_launch(STEP))
    name_the_first_host(find_launch({**STEP, "SLURM_STEP_NUM_NODES": "1"}))
    assert environment == {"MASTER_ADDR": "gpu07"}


def test_a_worker_of_torchrun():
    assert find_launch(TORCHRUN) == Launch("torchrun", 1, 2, "x.0", "gpu07")


def test_a_process_that_lightning_starts_finds_the_one_that_started_it(monkeypatch):
    monkeypatch.setenv(MEETING, "of an earlier run")  # so that it is removed after the test
    monkeypatch.setenv("LOCAL_RANK", "1")
    make_known(Launch("Lightning", 0, 2, "secret"), 4711)
    assert find_launch() == Launch("Lightning", 1, 2, "secret", "127.0.0.1", 4711)


def test_a_job_of_several_tasks_needs_srun():
    with pytest.raises(UserError, match="SLURM has 4 tasks in this job, but this process is none of them: start it w"):
        find_launch({name: value for name, value in STEP.items() if name != "SLURM_STEP_ID"})


@pytest.mark.parametrize(("devices", "num_nodes"), [(2, 2), ("2", 2), ([0, 1], 2), (4, "1")])
def test_as_many_processes_as_devices_and_nodes(devices, num_nodes):
    check_size(find_launch(STEP), devices, num_nodes)


@pytest.mark.parametrize(("devices", "num_nodes", "product"), [(1, 2, 2), (4, 2, 8), ([0], 1, 1)])
def test_another_number_of_processes_is_refused(devices, num_nodes, product):
    with pytest.raises(UserError, match=f"srun has started 4 processes, but .* ask for {product}: start as many as"):
        check_size(find_launch(STEP), devices, num_nodes)


def test_lightning_starts_as_many_as_it_is_asked_for(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    check_size(Launch(), 2, 1)
    check_size(find_launch(STEP), "auto", 1)
