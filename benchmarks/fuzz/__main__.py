"""Generated files of users, most of them broken, given to the project's own entry points.

    python -m benchmarks.fuzz --cases 10000 --seed 0 [--kind zips] [--case zips:17]

Each case is read, or refused in one message. A case is a function of the seed, its kind and its number; it runs in a
forked process of its own, and its files are compared before and after. `--case` runs one alone and shows all it prints.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from random import Random

from benchmarks.fuzz import checkpoints, configs, images, texts
from benchmarks.fuzz.kinds import Kind, state_of
from lab.errors import MISTAKE
from lab.outcome import explained

TIME_LIMIT = 20.0  # seconds
KINDS = {kind.name: kind for module in (images, texts, configs, checkpoints) for kind in module.KINDS}
OUTCOMES = ("read", "one message", "crash", "hang", "files changed")


@dataclass
class Outcome:
    """What became of a case."""

    what: str
    changed: bool
    seconds: float
    said: str  # on stdout and stderr


def run_case(kind: Kind, number: int, seed: int, limit: float = TIME_LIMIT) -> Outcome:
    """Make the files of a case and read them in a forked process."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        place = Path(folder)
        for part in ("files", "scratch"):
            (place / part).mkdir()
        here, there = Pipe(duplex=False)
        started = time.perf_counter()
        process = os.fork()
        if process == 0:
            child(kind, Random(f"{seed} {kind.name} {number}"), place, there)
        there.close()
        before = received(here, limit)
        started = time.perf_counter() if before is not None else started
        end = received(here, limit) if before is not None else None
        seconds = time.perf_counter() - started
        if end is None and seconds >= limit:
            os.killpg(process, signal.SIGKILL)
        _, status = os.waitpid(process, 0)
        said = (place / "said").read_text(errors="replace") if (place / "said").exists() else ""
        changed = before is not None and state_of(place / "files") != before
    if end is None:
        what = "hang" if seconds >= limit else "crash"
        said += f"\nended with the wait status {status}"
    else:
        what = end
        if what == "one message" and (said.count("error: ") < 1 or "Traceback (most recent call last)" in said):
            what = "crash"
    return Outcome(what, changed, seconds, said)


def received(end: Connection, limit: float) -> str | None:
    """What a process sends within the limit, in seconds; None if it dies or hangs."""
    try:
        return str(end.recv()) if end.poll(limit) else None
    except (EOFError, OSError):
        return None


def child(kind: Kind, random: Random, place: Path, parent: Connection) -> None:
    """Run the case and say how it ended; does not return."""
    os.setpgid(0, 0)
    said = os.open(place / "said", os.O_CREAT | os.O_WRONLY)
    os.dup2(said, 1)
    os.dup2(said, 2)
    stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  what cannot be printed is a crash
    stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    os.chdir(place / "scratch")
    ended = "crash"
    try:
        with redirect_stdout(stdout), redirect_stderr(stderr):
            ended = end_of(kind, random, place, parent)
    finally:  # the frames of the parent must not be left: they remove the folder
        stdout.flush()
        stderr.flush()
        parent.send(ended)
        os._exit(0)


def end_of(kind: Kind, random: Random, place: Path, parent: Connection) -> str:
    """Make the files and use them: "read", "one message" or "crash"."""
    try:
        use = kind.make(random, place / "files")
        parent.send(state_of(place / "files"))
        with explained():
            use(place / "scratch")
    except SystemExit as stop:
        return "read" if not stop.code else "one message" if stop.code == MISTAKE else "crash"
    except BaseException:
        traceback.print_exc()
        return "crash"
    return "read"


def shares(cases: int) -> list[tuple[Kind, int]]:
    """The kinds and how many of all cases each has."""
    whole = sum(kind.share for kind in KINDS.values())
    counts = {name: cases * kind.share // whole for name, kind in KINDS.items()}
    first = next(iter(counts))
    counts[first] += cases - sum(counts.values())
    return [(KINDS[name], count) for name, count in counts.items()]


def show(table: dict[str, Counter[str]]) -> None:
    """Print the counts of each kind."""
    print(f"{'kind':14} {'cases':>7}" + "".join(f"{outcome:>15}" for outcome in OUTCOMES))
    for name, counts in {**table, "all": sum(table.values(), Counter())}.items():
        cases = sum(counts[outcome] for outcome in OUTCOMES[:4])
        print(f"{name:14} {cases:>7,}" + "".join(f"{counts[outcome]:>15,}" for outcome in OUTCOMES), flush=True)


def main() -> int:
    """Run the cases; 0 if all were read or refused in one message."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=sorted(KINDS), help="one kind alone, as many cases as in the whole run")
    parser.add_argument("--case", metavar="KIND:NUMBER", help="one case alone")
    given = parser.parse_args()
    if given.case:
        name, _, number = given.case.partition(":")
        outcome = run_case(KINDS[name], int(number), given.seed)
        print(outcome.said)
        print(json.dumps({"outcome": outcome.what, "changed": outcome.changed, "seconds": round(outcome.seconds, 2)}))
        return 0
    os.environ["WANDB_MODE"] = "disabled"
    begun, slowest = time.perf_counter(), 0.0
    table: dict[str, Counter[str]] = {}
    say: Callable[[str], None] = lambda line: print(line, flush=True)  # noqa: E731
    for kind, count in shares(given.cases):
        if given.kind not in (None, kind.name):
            continue
        counts = table[kind.name] = Counter()
        for number in range(count):
            outcome = run_case(kind, number, given.seed)
            slowest = max(slowest, outcome.seconds)
            counts[outcome.what] += 1
            counts["files changed"] += outcome.changed
            if outcome.what in ("crash", "hang") or outcome.changed or outcome.seconds > TIME_LIMIT / 4:
                last = (outcome.said.strip().splitlines() or [""])[-1]
                changed = ", files changed" if outcome.changed else ""
                say(f"{kind.name}:{number} {outcome.what}{changed}, {outcome.seconds:.1f} s: {last[:200]}")
        show({kind.name: counts})
    show(table)
    print(f"seed {given.seed}: {time.perf_counter() - begun:.0f} s, the slowest case {slowest:.1f} s")
    return int(any(counts[outcome] for counts in table.values() for outcome in OUTCOMES[2:]))


if __name__ == "__main__":
    sys.exit(main())
