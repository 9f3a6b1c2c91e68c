"""Who has started the processes of a run, and where they meet: srun, torchrun, or Lightning in the first process."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment

from lab.errors import UserError

FIRST_PORT, NUM_PORTS = 25000, 10000  # of meetings under srun: a job's own, beside Lightning's own from 15000 on
MEETING = "LIGHTNING_MODELS_MEETING"  # where the first process waits, for those that it starts


@dataclass(frozen=True)
class Launch:
    """How this process was started.

    Args:
        launcher: `srun`, `torchrun`, `Lightning`, or None for one process, which may start others.
        rank: of this process, from 0 up.
        size: number of processes.
        key: what the processes of this run, and of this start of it, have in common.
        host: where the first process is.
        port: at which it waits for the others; 0: it takes a free one, and makes it known.
    """

    launcher: str | None = None
    rank: int = 0
    size: int = 1
    key: str = ""
    host: str = "127.0.0.1"
    port: int = 0


def find_launch(environment: Mapping[str, str] = os.environ) -> Launch:
    """How this process was started, as its environment tells.

    Raises:
        UserError: in a SLURM job of several tasks without srun: the other tasks would never come.
    """
    if MEETING in environment:
        processes, key, host, port = environment[MEETING].split()
        return Launch("Lightning", int(environment["LOCAL_RANK"]), int(processes), key, host, int(port))
    if "TORCHELASTIC_RUN_ID" in environment:
        key = f"{environment['TORCHELASTIC_RUN_ID']}.{environment.get('TORCHELASTIC_RESTART_COUNT', 0)}"
        rank, size = int(environment["RANK"]), int(environment["WORLD_SIZE"])
        return Launch("torchrun", rank, size, key, environment["MASTER_ADDR"])
    size = int(environment.get("SLURM_NTASKS", 1))
    if size > 1 and environment.get("SLURM_JOB_NAME") not in ("bash", "interactive"):  # as Lightning has it
        if "SLURM_STEP_ID" not in environment:
            raise UserError(
                f"SLURM has {size} tasks in this job, but this process is none of them: start it with srun, as "
                "configs/cluster/fit.sbatch does"
            )
        job, step = environment["SLURM_JOB_ID"], environment["SLURM_STEP_ID"]
        key = f"{job}.{step}.{environment.get('SLURM_RESTART_COUNT', 0)}"
        host = environment.get("MASTER_ADDR", "127.0.0.1")
        if "MASTER_ADDR" not in environment and int(environment["SLURM_STEP_NUM_NODES"]) > 1:
            host = SLURMEnvironment.resolve_root_node_address(environment["SLURM_STEP_NODELIST"])
        return Launch("srun", int(environment["SLURM_PROCID"]), size, key, host, FIRST_PORT + int(job) % NUM_PORTS)
    return Launch()


def name_the_first_host(launch: Launch) -> None:
    """Let torch.distributed meet under srun where the processes of the run have met already.

    Lightning would take the first node's name on one node, too, where it may be known to nobody.
    """
    if launch.launcher == "srun":
        os.environ.setdefault("MASTER_ADDR", launch.host)


def launch_of_children(size: int) -> Launch:
    """The first process's own launch, when Lightning is about to start the others on this machine."""
    return Launch("Lightning", 0, size, secrets.token_hex(8))


def check_size(launch: Launch, devices: Any, num_nodes: Any) -> None:
    """Raise a UserError if the launcher has started another number of processes than the options ask for.

    Args:
        launch: of this process.
        devices: the Trainer's option: a number, a list, or "auto" for every GPU that this process sees.
        num_nodes: the Trainer's option.
    """
    if launch.launcher not in ("srun", "torchrun"):
        return
    try:
        on_each = len(devices) if isinstance(devices, (list, tuple)) else int(devices)
    except ValueError:
        on_each = max(1, torch.cuda.device_count())
    if on_each * int(num_nodes) != launch.size:
        raise UserError(
            f"{launch.launcher} has started {launch.size} processes, but --trainer.devices {devices} and "
            f"--trainer.num_nodes {num_nodes} ask for {on_each * int(num_nodes)}: start as many as devices x nodes"
        )


def make_known(launch: Launch, port: int) -> None:
    """Tell the processes that torchrun has started, or that Lightning will start, at which port the first one waits."""
    if launch.launcher == "torchrun":
        agent_store(launch).set(f"lightning_models/{launch.key}", str(port))
    elif launch.launcher == "Lightning":
        os.environ[MEETING] = f"{launch.size} {launch.key} {launch.host} {port}"


def known_port(launch: Launch) -> int:
    """The port at which the first process waits; 0 if that is not known yet."""
    if launch.launcher != "torchrun":
        return launch.port
    store, name = agent_store(launch), f"lightning_models/{launch.key}"
    return int(store.get(name)) if store.check([name]) else 0


def agent_store(launch: Launch) -> Any:
    """The store of torchrun's own agent."""
    port, patience = int(os.environ["MASTER_PORT"]), timedelta(seconds=30)
    return torch.distributed.TCPStore(launch.host, port, is_master=False, timeout=patience)  # type: ignore[attr-defined]
