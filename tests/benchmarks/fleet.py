"""How much faster two local workers are than one, on 200 simulated customers.

    python tests/benchmarks/fleet.py [--customers 200] [--hours 48]

Runs with one and with two workers alternate, each into an empty folder. The wall time has everything; the rate leaves
out what one customer per worker takes, which is mostly starting the processes (two to three seconds).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from starface_nb.fleet import run_fleet
from starface_nb.simulation import simulate
from starface_nb.simulation.drawing import Wish
from tests.simulation.families import FAMILIES, make


def customers(folder: Path, count: int, hours: float) -> None:
    """Write one simulated customer's log per subfolder."""
    for seed in range(count):
        scenario = make(sorted(FAMILIES)[seed % len(FAMILIES)], seed, Wish(None, hours, None, None))
        simulate(scenario, seed).write(folder / f"customer-{seed:03}")


def timed(sources: list[Path], workers: int) -> float:
    """Return the wall time of everything, seconds."""
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as out:
        run_fleet(sources, out, workers=workers)
    return time.perf_counter() - begin


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=200)
    parser.add_argument("--hours", type=float, default=48.0)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        customers(Path(folder), options.customers, options.hours)
        best: dict[int, float] = {}
        for _ in range(options.rounds):
            for workers in (1, 2):
                one = timed([Path(folder) / "customer-000", Path(folder) / "customer-001"][:workers], workers)
                wall = timed([Path(folder)], workers)
                rate = (options.customers - workers) / (wall - one)
                print(
                    f"{workers} worker(s): {rate:6.1f} customers/s, {wall:6.1f} s in all, {one:.1f} s to start",
                    flush=True,
                )
                best[workers] = max(best.get(workers, 0.0), rate)
    print(f"two workers reach {best[2] / best[1]:.2f}x the rate of one")


if __name__ == "__main__":
    main()
