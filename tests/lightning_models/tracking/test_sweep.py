"""The sweep of docs/dashboards.md, run by wandb's own agent on a stand-in server."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lightning_models.tracking.wandb_runs import run_id
from tests.lightning_models.tracking.stand_in_server import StandInServer

ROOT = Path(__file__).parents[3]
VALUES = {"model.l2": 1e-5, "seed_everything": 2}


def test_a_run_of_a_sweep_has_the_id_that_the_agent_gives_it(monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_RUN_ID", "given")
    assert run_id(tmp_path / "alone") != "given"
    monkeypatch.setenv("WANDB_SWEEP_ID", "sweep")
    assert run_id(tmp_path / "swept") == "given"
    monkeypatch.setenv("WANDB_RUN_ID", "next")
    assert run_id(tmp_path / "swept") == "given"


@pytest.mark.slow
def test_an_agent_trains_with_the_values_of_the_sweep(tmp_path):
    page = (ROOT / "docs" / "dashboards.md").read_text()
    sweep = yaml.safe_load(re.search(r"```yaml\n(# sweep.yaml.*?)```", page, re.DOTALL)[1])
    assert set(sweep["parameters"]) == set(VALUES)
    run_dir = tmp_path / "run"
    sweep["command"] += ["--run_dir", str(run_dir), "--trainer.max_epochs", "1", "--trainer.accelerator", "cpu"]
    command = {"id": "c", "type": "run", "run_id": "given", "program": sweep["program"]}
    command["args"] = {name: {"value": value} for name, value in VALUES.items()}
    found = {"id": "U3c=", "name": "sweep", "state": "RUNNING", "config": yaml.safe_dump(sweep), "runs": {"edges": []}}
    server = StandInServer(
        answers={
            "agentHeartbeat": {"agentHeartbeat": {"agent": {"id": "QQ=="}, "commands": json.dumps([command])}},
            "createAgent": {"createAgent": {"agent": {"id": "QQ=="}}},
            "sweep(sweepName": {"project": {"sweep": found}},
        }
    )
    programs = Path(sys.executable).parent
    environment = {**os.environ, "WANDB_BASE_URL": server.url, "WANDB_API_KEY": "a" * 40, "HOME": str(tmp_path)}
    environment |= {"PATH": f"{programs}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1", "WANDB_DIR": str(tmp_path)}
    environment.pop("WANDB_MODE", None)
    try:
        agent = subprocess.run(
            [str(programs / "wandb"), "agent", "--count", "1", "us/p/sweep"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        begun = [json.loads(body)["variables"] for body in server.bodies("/graphql") if "UpsertBucket" in body]
    finally:
        server.end()
    assert agent.returncode == 0, agent.stderr
    config = yaml.safe_load((run_dir / "config.yaml").read_text())
    assert config["seed_everything"] == VALUES["seed_everything"]
    assert config["model"]["init_args"]["l2"] == VALUES["model.l2"]
    assert {variables["name"] for variables in begun} == {"given"}
    assert "sweep" in {variables["sweep"] for variables in begun}
    assert run_id(run_dir) == "given"
