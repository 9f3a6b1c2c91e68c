"""The private SLURM does what the other tests of this folder rely on."""

import pytest

pytestmark = pytest.mark.slow


def test_jobs_run_on_both_nodes_and_a_lost_node_requeues_its_job(slurm, tmp_path):
    script = tmp_path / "job.sbatch"
    script.write_text("#!/bin/bash\necho $SLURM_RESTART_COUNT.$SLURMD_NODENAME\n[ $SLURM_RESTART_COUNT ] || sleep 60\n")
    options = (f"--output={tmp_path}/log", "--open-mode=append", "--requeue")
    job = slurm.submit(script, options=options)
    slurm.wait_for(job, ("RUNNING",))
    node = slurm.job(job)["NodeList"]
    slurm.kill_node(node)
    try:
        slurm.wait_for(job, ("PENDING",))
        slurm.start_now(job)
        found = slurm.wait_for(job, ("COMPLETED",))
    finally:
        slurm.start_node(node)
    assert found["Restarts"] == "1"
    other = {"a": "b", "b": "a"}[node]
    assert (tmp_path / "log").read_text().split()[-1] == f"1.{other}"
