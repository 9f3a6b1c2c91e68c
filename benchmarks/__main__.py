"""The speed of every family: the real command with its defaults against a bare PyTorch loop, in samples a CPU second.

Each task is a config of this project and a loop in benchmarks/bare.py, which has the same networks and arithmetic and
nothing else and imports no Lightning. Both processes stay loaded and take turns, a window each, the other one stopped;
samples are counted against the CPU seconds (user and system, all threads) that the process used for them, so that a
busy machine disturbs neither. The ratio is the median over the rounds, with the lowest and the highest. Windows are
longer than an epoch of the small networks: validation, checkpoints and figures are in them; Weights & Biases is
offline. The data is drawn at random in the shape of MNIST and Tiny Shakespeare; the surnames come with the project.
"""

import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.progress import Done, Progress, is_made
from benchmarks.stand_in_data import write_data

CONFIGS = {
    "classifier_mlp": "classifier/mnist_mlp",
    "classifier_cnn": "classifier/mnist_cnn",
    "gan_mlp": "gan/mnist_mlp",
    "gan_conv": "gan/mnist",
    "wgan_gp": "wgan_gp/mnist",
    "vae_mlp": "vae/mnist_mlp",
    "vae_conv": "vae/mnist",
    "language_model": "text/shakespeare_lstm",
    "names": "names/surnames",
}
COMMAND = Path(__file__).parents[1].joinpath("cli").with_suffix(".py")
WARM_UP = 640  # samples before the first turn
PATIENCE = 120.0  # seconds until the first batches


@dataclass
class Side:
    """A process that is stopped except in its turns."""

    process: "subprocess.Popen[bytes]"
    progress: Progress

    def turn(self, seconds: float) -> tuple[Done, float]:
        """What it does in a window, and the wall time from the batch before it to its last batch."""
        before, begun = self.progress.read(), time.perf_counter()
        self.process.send_signal(signal.SIGCONT)
        time.sleep(seconds)
        self.process.send_signal(signal.SIGSTOP)
        after = self.progress.read()
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.process.args} has ended with status {self.process.returncode}")
        return Done(after.samples - before.samples, after.cpu - before.cpu), time.perf_counter() - begun


@contextlib.contextmanager
def started(commands: list[list[str]], paths: list[Path], environment: dict[str, str]) -> Iterator[list[Side]]:
    """Start them, let each train some batches and stop it; what they print is beside their `Progress`."""
    processes: list[subprocess.Popen[bytes]] = []
    logs = [path.with_suffix(".log") for path in paths]
    try:
        for command, log in zip(commands, logs, strict=True):
            with log.open("wb") as output:
                processes.append(subprocess.Popen(command, env=environment, stdout=output, stderr=output))
        deadline = time.monotonic() + PATIENCE
        waiting = set(range(len(commands)))
        while waiting:
            for number in list(waiting):
                process, path = processes[number], paths[number]
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{process.args!r} does not train:\n{logs[number].read_text()[-2000:]}")
                if is_made(path) and Progress(path, writes=False).read().samples >= WARM_UP:
                    process.send_signal(signal.SIGSTOP)
                    waiting.remove(number)
            time.sleep(0.05)
        yield [Side(process, Progress(path, writes=False)) for process, path in zip(processes, paths, strict=True)]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def measure(task: str, folder: Path, rounds: int, seconds: float, environment: dict[str, str]) -> dict[str, float]:
    """The ratio, its range and the samples a CPU second of both sides."""
    progress = {side: folder / f"{task}-{side}" for side in ("ours", "bare")}
    init_args = {"path": str(progress["ours"]), "is_text": task == "language_model"}
    callback = {"class_path": "benchmarks.progress_callback.WriteProgress", "init_args": init_args}
    ours = [
        *(sys.executable, str(COMMAND), "fit", "-c", f"configs/{CONFIGS[task]}.yaml"),
        *("--run_dir", str(folder / f"{task}-run"), "--trainer.max_epochs=10000", "--quiet"),
        f"--trainer.callbacks+={json.dumps(callback)}",
    ]
    bare = [sys.executable, "-m", "benchmarks.bare", task, str(folder), str(progress["bare"])]
    rates: dict[str, list[float]] = {"ours": [], "bare": []}
    walls: dict[str, list[float]] = {"ours": [], "bare": []}
    with started([ours, bare], [progress["ours"], progress["bare"]], environment) as sides:
        for _ in range(rounds):
            for name, side in zip(rates, sides, strict=True):
                done, wall = side.turn(seconds)
                rates[name].append(done.samples / done.cpu)
                walls[name].append(done.samples / wall)
    ratios = [mine / theirs for mine, theirs in zip(rates["ours"], rates["bare"], strict=True)]
    median = statistics.median
    return {
        **{"ratio": round(median(ratios), 3), "low": round(min(ratios), 3), "high": round(max(ratios), 3)},
        **{name: round(median(values), 1) for name, values in rates.items()},
        **{f"{name}_wall": round(median(values), 1) for name, values in walls.items()},
    }


def write_surnames(folder: Path) -> None:
    """The batches of an epoch of surnames, for the bare loop, which cannot import what makes them."""
    import torch

    from datamodules.sequences.names import Names

    data = Names(batch_size=128, root=str(folder))
    with contextlib.redirect_stderr(None):  # what was found in the files
        data.setup("fit")
    made: dict[str, Any] = {"vocab_size": len(data.vocabulary), "num_classes": len(data.class_names)}
    made |= {"training": list(data.train_dataloader()), "held_out": list(data.val_dataloader())}
    torch.save(made, folder / "surnames.pt")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.split("\n")[0])
    parser.add_argument("tasks", nargs="*", metavar="TASK", help=f"by default all: {', '.join(CONFIGS)}")
    parser.add_argument("--quick", action="store_true", help="shorter windows: all tasks in less than three minutes")
    parser.add_argument("--rounds", type=int, help="turns of each side, by default 5, with --quick 3")
    parser.add_argument("--seconds", type=float, help="length of a turn, by default 4, with --quick 1.5")
    parser.add_argument("--threads", type=int, default=1, help="of each side, by default 1")
    parser.add_argument("--json", metavar="FILE", help="where to write the numbers")
    given = parser.parse_args()
    if unknown := set(given.tasks) - set(CONFIGS):
        parser.error(f"there is no task {', '.join(sorted(unknown))}: choose from {', '.join(CONFIGS)}")
    rounds, seconds = given.rounds or (3 if given.quick else 5), given.seconds or (1.5 if given.quick else 4.0)
    results = {}
    load = os.getloadavg()[0]
    print(f"{given.threads} thread(s), {rounds} rounds of {seconds} s, samples a CPU second, load {load:.1f}")
    print(f"{'task':16} {'command':>12} {'bare loop':>12} {'ratio (lowest to highest)':>28}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_data(folder)
        environment = {
            **os.environ,
            **{"OMP_NUM_THREADS": str(given.threads), "DATA_ROOT": name, "WANDB_MODE": "offline"},
        }
        for task in given.tasks or CONFIGS:
            if task == "names":
                write_surnames(folder)
            found = results[task] = measure(task, folder, rounds, seconds, environment)
            spread = f"{found['ratio']:.2f} ({found['low']:.2f} to {found['high']:.2f})"
            print(f"{task:16} {found['ours']:>12,.0f} {found['bare']:>12,.0f} {spread:>28}", flush=True)
    if given.json:
        Path(given.json).write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
