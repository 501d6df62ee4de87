"""How right `compare` is on pairs of simulated logs: an unfixed, a fixed, a longer but still too short timeout.

python -m tests.benchmarks.pairs --pairs 300
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from datetime import timedelta
from multiprocessing import Pool

import numpy as np

import starface_nb as sf
from starface_nb.analysis.compare import Comparison, compare
from starface_nb.simulation import Router, Scenario, simulate
from starface_nb.simulation.drawing import mixture, nat, site

REPORTING = 2_000_000
KINDS = ("unfixed", "fixed", "longer")


@dataclass
class Pair:
    kind: str
    seed: int
    timeout_s: float
    after_s: float
    hours: float
    result: Comparison


def pair(kind: str, seed: int, hours_after: float | None = None) -> tuple[Scenario, Scenario]:
    """Return two customers with the same phones: before and after something was done, or nothing."""
    rng = np.random.default_rng([seed, 7])
    router = nat(rng, high=50 * 60.0)
    where = site(rng, 1, router, int(rng.integers(3, 13)))
    before_h = float(rng.uniform(8, 36))
    hours = hours_after if hours_after is not None else float(np.exp(rng.uniform(np.log(1.0), np.log(48))))
    new = router
    if kind == "fixed":
        new = replace(router, timeout_s=float(rng.uniform(61, 120)) * 60.0)
    elif kind == "longer":
        new = replace(router, timeout_s=float(min(3300.0, router.timeout_s + rng.uniform(180, 900))))
    start = Scenario((where,), 1.0).start + timedelta(days=int(rng.integers(0, 300)))
    warm = 0.0 if rng.random() < 0.3 else 3 * 3600.0
    noisy = rng.random() < 0.6
    first = Scenario(
        (where,),
        before_h,
        "before",
        tuple(mixture(rng, where, before_h, 3.0, 0.0)) if noisy else (),
        start,
        warm_up_s=warm,
    )
    second = Scenario(
        (replace(where, router=Router(**new.__dict__)),),
        hours,
        "after",
        tuple(mixture(rng, where, hours, 3.0, 0.0)) if noisy else (),
        start + timedelta(hours=before_h + float(rng.uniform(0, 30))),
        warm_up_s=warm,
    )
    return first, second


def work(job: tuple[str, int, float | None]) -> Pair:
    kind, seed, hours = job
    first, second = pair(kind, seed, hours)
    before, after = (sf.diagnose(simulate(s, seed + i).log) for i, s in enumerate((first, second)))
    routers = first.sites[0].router, second.sites[0].router
    return Pair(kind, seed, routers[0].timeout_s, routers[1].timeout_s, second.hours, compare(before, after))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=300, help="of each kind")
    parser.add_argument("--first", type=int, default=REPORTING)
    parser.add_argument("--hours", type=float)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    todo = [(kind, options.first + i, options.hours) for kind in KINDS for i in range(options.pairs)]
    with Pool(options.workers) as pool:
        found = list(pool.imap_unordered(work, todo, chunksize=4))
    table: dict[str, Counter[str]] = defaultdict(Counter)
    for p in found:
        length = "< 3 h" if p.hours < 3 else "3-12 h" if p.hours < 12 else ">= 12 h"
        table[f"{p.kind:8s} {length}"][p.result.verdict] += 1
        table[f"{p.kind:8s} all"][p.result.verdict] += 1
    print(f"{'':18s} " + " ".join(f"{v:>12s}" for v in ("fixed", "improved", "unchanged", "worse", "cannot_tell")))
    for name in sorted(table):
        row = table[name]
        print(
            f"{name:18s} "
            + " ".join(f"{row[v]:12d}" for v in ("fixed", "improved", "unchanged", "worse", "cannot_tell"))
        )
    right = {"unfixed": "unchanged", "fixed": "fixed", "longer": "improved"}
    wrong = [p for p in found if p.result.verdict not in (right[p.kind], "cannot_tell")]
    for p in sorted(wrong, key=lambda p: p.seed)[:25]:
        r = p.result
        what = f"T {p.timeout_s:.0f} -> {p.after_s:.0f}, {p.hours:.1f} h"
        print(f"  {p.kind} {p.seed}: {r.verdict} {r.probability:.3f}, {what}, {r.before}, {r.after}")


if __name__ == "__main__":
    main()
