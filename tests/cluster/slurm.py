"""A private SLURM on this machine: two nodes, ports and folders of its own.

    eval "$(python -m tests.cluster.slurm start FOLDER)"     then sbatch, srun, squeue and scancel talk to it
    python -m tests.cluster.slurm stop FOLDER

Needs Debian's slurm-wlm and munge, and no rights: jobs run as whoever starts it.
"""

import getpass
import os
import platform
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

NODES = ("a", "b")
CORES = 4  # of each node, whatever the machine has
DAEMONS = ("munged", "slurmctld", "slurmd", "srun", "sbatch", "scancel", "scontrol")
ENDED = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "BOOT_FAIL")
PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])  # where Debian puts daemons

CONFIG = """
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={ports[0]}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmdLogFile={folder}/slurmd-%n.log
SlurmdSpoolDir={folder}/spool-%n
StateSaveLocation={folder}/state
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=2
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
SchedulerParameters=bf_interval=1,sched_interval=1
ReturnToService=2
SlurmdTimeout=10
GresTypes=gpu
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
FirstJobId={first_job}
NodeName={nodes} NodeHostname={host} NodeAddr=127.0.0.1 Port=[{ports[1]}-{ports[2]}] Gres=gpu:2 CPUs={cores} \
Boards=1 Sockets=1 CoresPerSocket={cores} ThreadsPerCore=1
PartitionName=all Nodes=ALL Default=YES State=UP PriorityTier=1
PartitionName=urgent Nodes=ALL State=UP PriorityTier=2
"""
# cred_expire also delays a requeued job; a node that is silent for 3 x SlurmdTimeout is down. The first job's number
# decides the ports at which the processes of a training meet, and other tests may run on this machine.


def missing() -> str | None:
    """Why there can be no SLURM here; None if there can."""
    absent = [name for name in DAEMONS if shutil.which(name, path=PATH) is None]
    return f"{', '.join(absent)} not found (Debian: apt-get install slurm-wlm munge)" if absent else None


class Slurm:
    """One in `folder`, which is made by `start` and removed by `stop`; a path below /tmp, as it holds a socket.

    `environment` makes SLURM's commands, and jobs, use it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf"), "PATH": PATH}
        self.environment["MASTER_ADDR"] = "127.0.0.1"  # where processes of several nodes meet: the names mean nothing

    def start(self) -> None:
        """Start munged, slurmctld and a slurmd for each node; RuntimeError if the nodes do not come up."""
        (self.folder / "state").mkdir(parents=True)
        key = self.folder / "munge.key"
        key.write_bytes(secrets.token_bytes(1024))
        key.chmod(0o400)
        content = CONFIG.format(
            host=platform.node().partition(".")[0],
            user=getpass.getuser(),
            ports=free_ports(),
            folder=self.folder,
            first_job=secrets.randbelow(9000) + 1000,
            nodes=",".join(NODES),
            cores=CORES,
        )
        (self.folder / "slurm.conf").write_text(content)
        (self.folder / "gres.conf").write_text(
            "Name=gpu File=/dev/null\nName=gpu File=/dev/zero\n"
        )  # for the queue alone
        files = {"socket": "munge.socket", "key-file": key.name, "pid-file": "munged.pid"}
        files |= {"log-file": "munged.log", "seed-file": "munged.seed"}
        self.call("munged", "--force", *(f"--{option}={self.folder / name}" for option, name in files.items()))
        self.call("slurmctld", "-i")
        for node in NODES:
            self.start_node(node)
        for _ in range(300):
            states = self.call("sinfo", "-h", "-N", "-p", "all", "-o", "%T").split()
            if states == ["idle"] * len(NODES):
                return
            time.sleep(0.1)
        raise RuntimeError(f"the nodes are {states}: see the logs in {self.folder}")

    def stop(self) -> None:
        """End the jobs, the daemons that were started here, and nothing else; remove the folder."""
        for job in self.call("squeue", "-h", "-o", "%A", check=False).split():
            self.call("scancel", "--full", "--signal=KILL", job, check=False)
            self.call("scancel", job, check=False)
        for _ in range(100):
            if not self.call("squeue", "-h", check=False):
                break
            time.sleep(0.1)
        for name in [*(f"slurmd-{node}" for node in NODES), "slurmctld", "munged"]:
            end(self.folder / f"{name}.pid")
        for process in self.processes():  # such as a task that waits where no signal reaches it
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        shutil.rmtree(self.folder)

    def processes(self, node: str | None = None) -> list[int]:
        """The processes of its jobs that still run, as their environment tells; with `node`, those there."""
        ours = {f"SLURM_CONF={self.environment['SLURM_CONF']}".encode()}
        ours |= {f"SLURMD_NODENAME={node}".encode()} if node else set()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it has ended
                variables = (folder / "environ").read_bytes().split(b"\0")
                if ours.issubset(variables) and any(variable.startswith(b"SLURM_JOB_ID=") for variable in variables):
                    found.append(int(folder.name))
        return found

    def start_node(self, node: str) -> None:
        """Start the slurmd of a node."""
        self.call("slurmd", "-N", node)

    def kill_node(self, node: str, only_network: bool = False) -> None:
        """End the slurmd of a node and what runs there, all at once, as when a machine loses its power.

        Args:
            node: its name.
            only_network: its jobs go on running, as on a node that has lost its network.
        """
        end(self.folder / f"slurmd-{node}.pid", signal.SIGKILL)
        if not only_network:
            tasks = self.processes(node)
            for process in [*{parent(task) for task in tasks} - {1}, *tasks]:  # first those that would report the end
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)

    def call(self, *command: str, check: bool = True) -> str:
        """What a command of SLURM's prints; with `check`, CalledProcessError if it fails."""
        done = subprocess.run(
            command, env=self.environment, cwd=self.folder, check=check, stdout=subprocess.PIPE, text=True
        )
        return done.stdout.strip()

    def submit(self, script: Path, *arguments: str, options: tuple[str, ...] = (), cwd: Path | None = None) -> str:
        """Submit a batch script; the job's number."""
        command = ["sbatch", "--parsable", f"--chdir={cwd or self.folder}", *options, str(script), *arguments]
        return self.call(*command)

    def job(self, number: str) -> dict[str, str]:
        """What `scontrol show job` says: JobState, Reason, Restarts, ExitCode, ..."""
        text = self.call("scontrol", "--oneliner", "show", "job", number)
        return dict(field.split("=", 1) for field in text.split() if "=" in field)

    def start_now(self, number: str) -> None:
        """Let a requeued job begin: after a node has failed, SLURM waits for two minutes."""
        self.call("scontrol", "update", f"JobId={number}", "StartTime=now")

    def wait_for(self, number: str, states: tuple[str, ...] = ENDED, seconds: float = 300) -> dict[str, str]:
        """The job as soon as it is in one of the states; TimeoutError if it does not get there."""
        until = time.monotonic() + seconds
        while (job := self.job(number))["JobState"] not in states:
            if time.monotonic() > until:
                raise TimeoutError(f"job {number} is {job['JobState']} ({job['Reason']}) after {seconds:.0f} s")
            time.sleep(0.1)
        return job


def parent(process: int) -> int:
    """The process that has started another one; 1 if either is gone."""
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 1


def free_ports() -> list[int]:
    """Three that are free at the moment, the last two beside each other."""
    while True:
        with socket.socket() as one, socket.socket() as two, socket.socket() as three:
            one.bind(("", 0))
            two.bind(("", 0))
            try:
                three.bind(("", two.getsockname()[1] + 1))
            except OSError:
                continue
            return [opened.getsockname()[1] for opened in (one, two, three)]


def end(pid_file: Path, how: signal.Signals = signal.SIGTERM) -> None:
    """End the daemon that has written the file, if it is there, and wait for that."""
    try:
        pid = int(pid_file.read_text())
        for _ in range(100):
            os.kill(pid, how)
            time.sleep(0.1)
        os.kill(pid, signal.SIGKILL)
    except (FileNotFoundError, ProcessLookupError, ValueError):
        pid_file.unlink(missing_ok=True)


def main() -> None:
    """See the module's docstring."""
    command, *folders = sys.argv[1:]
    slurm = Slurm(Path(folders[0]).absolute() if folders else Path(tempfile.mkdtemp(prefix="slurm-")))
    if reason := missing():
        sys.exit(reason)
    if command == "start":
        slurm.start()
        print(f"export SLURM_CONF={slurm.folder / 'slurm.conf'}")
    else:
        slurm.stop()


if __name__ == "__main__":
    main()
