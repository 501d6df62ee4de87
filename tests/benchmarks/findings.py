"""How often each finding about other causes is told of customers that have the cause, and of those that have not.

python -m tests.benchmarks.findings --customers 20 --first 100
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from multiprocessing import Pool
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "analysis"))
import customers

import starface_nb as sf
from starface_nb.simulation import simulate
from tests.simulation.families import FAMILIES, make

FIRST_SEED = 100  # other customers than those of the tests
ORDINARY = "ordinary: "
INHERITS = "ordinary: inherited_ports"  # its phones do use the same local port


def told(job: tuple[str, int]) -> tuple[str, list[str]]:
    """Return the name of a kind of customer, and the findings that one of them gets."""
    name, seed = job
    if name.startswith(ORDINARY):
        family = name.removeprefix(ORDINARY)
        case = sf.diagnose(simulate(make(family, seed), seed).log)
        return name, customers.found(case, *customers.IDS)
    customer = customers.WITH[name][1] if name in customers.WITH else customers.WITHOUT[name]
    with tempfile.TemporaryDirectory() as folder:
        case = customers.diagnosed(Path(folder), customer(seed))
    return name, customers.found(case, *customers.IDS)


def main() -> None:
    """Print a line per finding: customers with it and found, kinds without it and invented."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=20, metavar="N", help="of each kind")
    parser.add_argument("--first", type=int, default=FIRST_SEED, metavar="SEED", help="seed of the first of them")
    asked = parser.parse_args()
    n = asked.customers
    names = [*customers.WITH, *customers.WITHOUT, *(ORDINARY + family for family in FAMILIES)]
    with Pool() as pool:
        results = pool.map(told, [(name, asked.first + k) for name in names for k in range(n)], chunksize=4)
    print(f"{'finding':22}{'with':>6}{'found':>7}{'without':>9}{'invented':>10}")
    for name, (wanted, _) in customers.WITH.items():
        found = sum(wanted in ids for kind, ids in results if kind == name)
        others = [
            (kind, ids) for kind, ids in results if kind not in customers.WITH or customers.WITH[kind][0] != wanted
        ]
        invented = [kind for kind, ids in others if wanted in ids and (kind, wanted) != (INHERITS, "shared_port")]
        print(f"{name:22}{n:6}{found:7}{len(others):9}{len(invented):10}  {', '.join(sorted(set(invented)))}")


if __name__ == "__main__":
    main()
