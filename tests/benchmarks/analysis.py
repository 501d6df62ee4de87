"""How long the analysis of large logs takes and how much memory, beside another state of the code in the same run.

    python -m tests.benchmarks.analysis --other ../rules ../before

The logs are simulated: customers of one kind, their phones all month long (`--phones`, `--hours`, by seed). Each state
reads and diagnoses each log in a process of its own, the states in turn; told are the medians. Peak memory is resident,
reading included. The last rows are `check` on the bundled sample beside a bare `import polars`, start to end.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import polars as pl

from starface_nb import samples

HERE = Path(__file__).resolve().parents[2]
# In a process of its own: a child's peak is at least what its parent had in memory when it was started.
MAKE = """
import pathlib, sys
from starface_nb.simulation import Wish, make, simulate
family, seed, phones, hours = sys.argv[2], *map(int, sys.argv[3:])
lines = simulate(make(family, seed, Wish(phones, hours)), seed).lines
pathlib.Path(sys.argv[1]).write_text("\\n".join(lines) + "\\n", "utf-8")
"""
MEASURE = """
import json, resource, sys, time
from starface_nb import read_log
from starface_nb.analysis import diagnose
log = read_log(sys.argv[1])
wall, used = time.perf_counter(), time.process_time()
found = diagnose(log)
wall, used = time.perf_counter() - wall, time.process_time() - used
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([found.intervals.height, wall, used, peak]))
"""


def diagnosed(tree: Path, log: Path) -> list[float]:
    """Return the intervals, seconds, processor seconds and peak MiB of a diagnosis by this state of the code."""
    command = [sys.executable, "-c", MEASURE, str(log)]
    env = {**os.environ, "PYTHONPATH": str(tree)}
    return [
        float(x) for x in json.loads(subprocess.run(command, cwd=tree, env=env, check=True, capture_output=True).stdout)
    ]


def started(tree: Path, *command: str) -> list[float]:
    """Return the seconds, processor seconds and peak MiB of a Python command, start to end."""
    began = time.perf_counter()
    env = {**os.environ, "PYTHONPATH": str(tree)}
    process = subprocess.Popen([sys.executable, *command], cwd=tree, env=env, stdout=subprocess.DEVNULL)
    _, _, usage = os.wait4(process.pid, 0)
    return [time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024]


def told(name: str, runs: list[list[float]]) -> str:
    """Return the medians of some runs as a row of a table."""
    values = [median(column) for column in zip(*runs, strict=True)]
    counts = [f"{values[0]:,.0f}"] if len(values) == 4 else ["-"]
    seconds, used, peak = values[-3:]
    return f"| {' | '.join([name, *counts, f'{seconds:.1f}', f'{used:.2f}', f'{peak:,.0f}'])} |"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--other", type=Path, nargs="+", default=[], help="folders of other states of the code")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--family", default="plain")
    parser.add_argument("--phones", type=int, default=500)
    parser.add_argument("--hours", type=int, default=720)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    trees = {"now": HERE} | {other.name: other.resolve() for other in options.other}
    print("| | intervals | s | processor s | peak MiB |\n|---|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        for seed in options.seeds:
            log = Path(folder) / f"{seed}.log"
            made = (options.family, str(seed), str(options.phones), str(options.hours))
            subprocess.run([sys.executable, "-c", MAKE, str(log), *made], cwd=HERE, check=True)
            runs = [(name, diagnosed(tree, log)) for _ in range(options.rounds) for name, tree in trees.items()]
            for name in trees:
                print(told(f"{options.family} {seed}, {name}", [one for whose, one in runs if whose == name]))
    sample = str(samples.path())
    check = ("-m", "starface_nb", "check", "--json", sample)
    for name, tree in trees.items():
        print(told(f"check, {name}", [started(tree, *check) for _ in range(options.rounds)]))
    print(
        told(f"import polars {pl.__version__}", [started(HERE, "-c", "import polars") for _ in range(options.rounds)])
    )


if __name__ == "__main__":
    main()
